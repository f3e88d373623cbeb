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

-- Each mailbox has a quota of its own: `quota` for the first, then `quota2`, `quota3` ...
local function add_quota(fields, number, prefix, bytes)
  if not bytes or bytes == 0 then
    return
  end
  local setting = number == 1 and "quota" or "quota" .. number
  table.insert(fields, setting .. "=count:mailbox" .. number .. ":ns=" .. prefix)
  table.insert(fields, setting .. "_rule=*:bytes=" .. string.format("%d", bytes))
end

-- The fields of a session, as settings that override the configuration. They go in one field, because their order
-- matters: a namespace is named before it is described. The ACL file is looked at anew by each command.
local function session(answer)
  local names = { "inbox" }
  local fields = {}
  for number, shared in ipairs(answer.shared or {}) do
    local name = "shared" .. number
    local namespace = "namespace/" .. name .. "/"
    table.insert(names, name)
    table.insert(fields, namespace .. "type=shared")
    table.insert(fields, namespace .. "separator=/")
    table.insert(fields, namespace .. "prefix=Shared/" .. shared.name .. "/")
    table.insert(fields, namespace .. "location=maildir:" .. shared.maildir)
    table.insert(fields, namespace .. "subscriptions=no")
    add_quota(fields, number + 1, "Shared/" .. shared.name .. "/", shared.quota)
  end
  table.insert(fields, 1, "namespace=" .. table.concat(names, ","))
  add_quota(fields, 1, "", answer.quota)
  table.insert(fields, "home=" .. answer.maildir .. "/dovecot\tmail=maildir:" .. answer.maildir)
  table.insert(fields, "acl=vfile:" .. answer.acl .. ":cache_secs=0")
  return table.concat(fields, "\t")
end

-- Whose mailbox an address is: asked for mail that comes by LMTP.
function auth_userdb_lookup(request)
  local answer, reason = ask({ mailbox = request.user })
  if not answer or answer.result == "unavailable" then
    request:log_error("the gateway does not know where mail lies: " .. tostring(reason))
    return dovecot.auth.USERDB_RESULT_INTERNAL_FAILURE, ""
  end
  if answer.result ~= "ok" then
    return dovecot.auth.USERDB_RESULT_USER_UNKNOWN, ""
  end
  local fields = { "home=" .. answer.maildir .. "/dovecot\tmail=maildir:" .. answer.maildir }
  add_quota(fields, 1, "", answer.quota)
  return dovecot.auth.USERDB_RESULT_OK, { userdb_import = table.concat(fields, "\t") }
end

function auth_password_verify(request, password)
  local question = { login = request.user, password = password, peer = request.rip or "", service = request.service }
  local answer, reason = ask(question)
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
  return dovecot.auth.PASSDB_RESULT_OK, { user = answer.login, userdb_userdb_import = session(answer) }
end
