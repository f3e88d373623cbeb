"""How this process runs: MAILGATE_* in the environment, then a file (see `config_file`), then the defaults here."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from mailgate.model.errors import UserError


class Listen:
    """One `host:port`, `[v6]:port`; an empty host means every address."""

    __slots__ = ("host", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    @classmethod
    def parse(cls, text: str) -> Listen:
        match = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]*)):(\d{1,5})", text.strip())
        if match is None or int(match[3]) > 65535:
            raise ValueError(f"{text!r} is not host:port (IPv6 as [::1]:25)")
        return cls(match[1] or match[2], int(match[3]))

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listen) and (self.host, self.port) == (other.host, other.port)

    def __hash__(self) -> int:
        return hash((self.host, self.port))


def _split(value: Any) -> Any:
    return [item for item in re.split(r"[,\s]+", value) if item] if isinstance(value, str) else value


def _listens(value: Any) -> Any:
    return [item if isinstance(item, Listen) else Listen.parse(str(item)) for item in _split(value)]


Listens = Annotated[list[Listen], NoDecode, BeforeValidator(_listens)]
Words = Annotated[list[str], NoDecode, BeforeValidator(_split)]


PREFIX = "MAILGATE_"
CONFIG_FILE = Path("/etc/mailgate/mailgate.toml")


def config_file() -> Path | None:
    """MAILGATE_CONFIG, or else CONFIG_FILE; none where MAILGATE_CONFIG is empty. Never a file of the working directory,
    which may be anybody's."""
    named = os.environ.get("MAILGATE_CONFIG")
    return CONFIG_FILE if named is None else Path(named) if named else None


def ignored_config() -> Path | None:
    """A mailgate.toml of the working directory that is not read."""
    here, read = Path("mailgate.toml"), config_file()
    with suppress(OSError):
        if here.is_file() and (read is None or not read.is_file() or not here.samefile(read)):
            return here.absolute()
    return None


def _read_config() -> dict[str, Any]:
    """UserError where somebody else could have written the file, or where it is no TOML."""
    path = config_file()
    if path is None or not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid not in (0, os.geteuid()):
                raise UserError(f"{path} belongs to another account (uid {status.st_uid}): chown it to root")
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                mode = stat.filemode(status.st_mode)
                raise UserError(f"{path} is {mode}: others may write to it; chmod go-w {path}")
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: {error}") from None


class Settings(BaseSettings):
    """Every field is `MAILGATE_<NAME>` in the environment and `<name>` in the file of the settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", arbitrary_types_allowed=True, frozen=True)

    data_dir: Path = Field(Path("var"), description="All that the gateway keeps: spool, tenants, keys.")
    policy_dir: Path = Field(Path("policies"), description="The folder with gateway.toml and tenants/.")
    hostname: str = Field(default_factory=socket.getfqdn, description="Our name in greetings and trace headers.")
    mx_listen: Listens = Field(default_factory=lambda: [Listen("127.0.0.1", 2525)], description="MX listeners.")
    submission_listen: Listens = Field(
        default_factory=lambda: [Listen("127.0.0.1", 2587)], description="Submission listeners (STARTTLS)."
    )
    submissions_listen: Listens = Field(
        default_factory=lambda: [Listen("127.0.0.1", 2465)], description="Submission listeners (TLS from the start)."
    )
    tls_cert: Path | None = Field(None, description="Certificate chain, PEM; self-signed in DATA_DIR where not given.")
    tls_key: Path | None = Field(None, description="Private key, PEM.")
    mx_tls_minimum: Literal["1.0", "1.1", "1.2", "1.3"] = Field(
        "1.0", description="The oldest TLS on MX; below 1.2 with old suites, too. What it refuses comes in plaintext."
    )
    submission_tls_minimum: Literal["1.2", "1.3"] = Field("1.2", description="The oldest TLS for those who log in.")
    clamd: Words = Field(
        default_factory=lambda: ["unix:/run/clamav/clamd.ctl"],
        description="Scanners: unix:PATH or tcp:HOST:PORT, tried in order.",
    )
    resolver: str = Field("127.0.0.1:53", description="DNS resolver, host:port.")
    resolver_trusted: bool = Field(
        False, description="The resolver's AD bit may be believed though it is not on loopback."
    )
    proxy_peers: Words = Field(default_factory=list, description="Networks that must speak the PROXY protocol to us.")
    master_key_file: Path | None = Field(
        None, description="The key that wraps the tenants' keys; made in DATA_DIR where not given."
    )
    admin_socket: Path | None = Field(
        None, description="Where the command line reaches the gateway; default DATA_DIR/run/admin.sock."
    )
    operator_key: Path | None = Field(
        None, description="The command line logs in as an operator by this Ed25519 private key."
    )
    password_file: Path | None = Field(
        None, description="The password for `mailgate --as LOGIN`; asked for where not given."
    )
    login_socket: Path | None = Field(
        None, description="Where an IMAP server asks who may log in and where the mail lies; none where not given."
    )
    doveadm_socket: Path | None = Field(
        None, description="Dovecot's doveadm-server socket: sessions are ended there when their rights end."
    )
    lmtp_socket: Path | None = Field(
        None, description="An LMTP server that puts mail into the mailboxes (Dovecot, for Sieve); else we do."
    )
    workers: int = Field(1, ge=0, le=64, description="Edge processes; 0 runs everything in one process.")
    inspectors: int = Field(
        default_factory=lambda: max(2, 2 * (os.cpu_count() or 1)), ge=1, le=256, description="Inspector processes."
    )
    inspector_user: str = Field("nobody", description="Account of the inspectors when started as root.")
    message_size_limit: int = Field(52_428_800, ge=65_536, description="Largest message in bytes (SIZE).")
    metrics_listen: Listens = Field(
        default_factory=lambda: [Listen("127.0.0.1", 9925)], description="/metrics and /healthz."
    )
    sts_listen: Listens = Field(
        default_factory=list, description="Web server of the MTA-STS policy files, e.g. 0.0.0.0:443; off by default."
    )
    sts_certs: Path | None = Field(
        None,
        description="Its certificates: NAME/fullchain.pem and NAME/privkey.pem for each mta-sts.DOMAIN. Without them "
        "it speaks plain HTTP, on loopback only, for a reverse proxy.",
    )
    relay_port: int = Field(25, ge=1, le=65535, description="Port of MX hosts (tests need another).")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, InitSettingsSource(settings_cls, _read_config())

    @field_validator("hostname")
    @classmethod
    def _hostname(cls, value: str) -> str:
        if not re.fullmatch(r"(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})*", value):
            raise ValueError(f"{value!r} is not a host name")
        return value.lower()

    @field_validator("clamd")
    @classmethod
    def _clamd(cls, value: list[str]) -> list[str]:
        for endpoint in value:
            if endpoint.startswith("tcp:"):
                Listen.parse(endpoint[4:])
            elif not re.fullmatch(r"unix:/.+", endpoint):
                raise ValueError(f"{endpoint!r} is neither unix:/PATH nor tcp:HOST:PORT")
        if not value:
            raise ValueError("at least one scanner is needed: unix:/PATH or tcp:HOST:PORT")
        return value

    @field_validator("proxy_peers")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together: give both or neither")
        return self

    @model_validator(mode="after")
    def _serves_policies_privately(self) -> Self:
        exposed = [listen for listen in self.sts_listen if not listen.is_loopback]
        if exposed and self.sts_certs is None:
            raise ValueError(
                f"sts_listen {exposed[0]} needs sts_certs; without certificates it may be on loopback only"
            )
        return self

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def admin_path(self) -> Path:
        return self.admin_socket or self.run_dir / "admin.sock"

    @property
    def store_path(self) -> Path:
        return self.run_dir / "store.sock"

    @property
    def staging_dir(self) -> Path:
        return self.data_dir / "spool" / "staging"

    def inspector_path(self, number: int) -> Path:
        return self.run_dir / "inspect" / f"{number}.sock"

    def absolute(self) -> Self:
        """The same for a process in another working directory."""
        paths = {name: value.absolute() for name, value in self if isinstance(value, Path)}
        return self.model_copy(update=paths)

    def variables(self) -> dict[str, str]:
        """As MAILGATE_* variables, without those that are not given and have no default."""
        return {
            PREFIX + name.upper(): ",".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in self
            if value is not None
        }


def load() -> Settings:
    """The settings, or UserError that lists every wrong one with its name and what is wrong."""
    named = os.environ.get("MAILGATE_CONFIG")
    with _every_fault_told():
        if named and not Path(named).is_file():
            raise UserError(f"MAILGATE_CONFIG: there is no file {named}")
        return Settings()  # type: ignore[call-arg]


def of_variables(variables: Mapping[str, str]) -> Settings:
    """From what `Settings.variables` gave, perhaps in another version; nothing comes from this process's environment or
    file. UserError as for `load`."""
    given: dict[str, Any] = dict.fromkeys(Settings.model_fields)
    given |= {name.removeprefix(PREFIX).lower(): text for name, text in variables.items()}
    with _every_fault_told():
        return Settings(**given)


@contextmanager
def _every_fault_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from None
    except ValidationError as error:
        lines = []
        for item in error.errors():
            name = "_".join(str(part) for part in item["loc"]).upper()
            lines.append(f"MAILGATE_{name}: {item['msg']}" if name else str(item["msg"]))
        raise UserError("settings:\n  " + "\n  ".join(lines)) from None
