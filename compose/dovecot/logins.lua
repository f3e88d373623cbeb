-- Asks the gateway on its socket for logins: one line of JSON there, one line back. Its own memory, back-off and account
-- states count here as they do for submission, and no password hash leaves it.
local json = require("cjson.safe")
local unix = require("socket.unix")

local SOCKET = "/run/logins/logins.sock"
local SECONDS = 20

local function ask(question)
  local connection = unix.stream and unix.stream() or unix()
  connection:settimeout(SECONDS)
  local connected, reason = connection:connect(SOCKET)
  if not connected then
    return nil, reason
  end
  local line
  local sent
  sent, reason = connection:send(json.encode(question) .. "\n")
  if sent then
    line, reason = connection:receive("*l")
  end
  connection:close()
  if not line then
    return nil, reason
  end
  return json.decode(line)
end

function auth_password_verify(request, password)
  local answer, reason = ask({ login = request.user, password = password, peer = request.rip or "" })
  if not answer then
    request:log_error("the gateway does not answer on " .. SOCKET .. ": " .. tostring(reason))
    return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, ""
  end
  if answer.result == "unavailable" then
    return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, ""
  end
  if answer.result ~= "ok" then
    return dovecot.auth.PASSDB_RESULT_PASSWORD_MISMATCH, ""
  end
  return dovecot.auth.PASSDB_RESULT_OK, { user = answer.login, userdb_home = answer.maildir }
end
