"""A small authoritative DNS server for tests: answers from a dictionary, and misbehaves for single names on demand."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.message import Message


class Fault(enum.Enum):
    """SILENT never answers; BOGUS fails unless validation is switched off (CD)."""

    SILENT = "silent"
    SERVFAIL = "servfail"
    BOGUS = "bogus"
    TRUNCATED = "truncated"


Records = Mapping[tuple[str, str], Sequence[str]]


class DnsServer:
    """`records` by (name, type), e.g. `("example.org", "MX"): ["10 mx.example.org."]`; all may be changed while it
    runs. Names without any record are NXDOMAIN. What lies in `secure` or below carries AD."""

    def __init__(self, records: Records | None = None) -> None:
        self.records: dict[tuple[str, str], Sequence[str]] = dict(records or {})
        self.faults: dict[str, Fault] = {}
        self.secure: set[str] = set()
        self.ttl = 60
        self.queries: list[tuple[str, str, str]] = []
        while True:
            self._tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self._udp.bind(self._tcp.getsockname())
                break
            except OSError:
                self._udp.close()
                self._tcp.close()
        self.endpoint = f"127.0.0.1:{self._tcp.getsockname()[1]}"
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._udp.close()
        self._tcp.close()

    def host(self, domain: str, host: str, *addresses: str) -> None:
        """`domain` has `host` as its only MX, with these addresses."""
        self.records[domain, "MX"] = [f"10 {host}."]
        self.records[host, "A"] = [address for address in addresses if ":" not in address]
        self.records[host, "AAAA"] = [address for address in addresses if ":" in address]

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, peer = self._udp.recvfrom(4096)
                answer = self._answer(wire, "udp")
                if answer is not None:
                    data = answer.to_wire(max_size=65535)
                    if len(data) > 1232:
                        answer.answer.clear()
                        answer.flags |= dns.flags.TC
                        data = answer.to_wire()
                    self._udp.sendto(data, peer)

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._tcp.accept()
                threading.Thread(target=self._serve_stream, args=(sock,), daemon=True).start()

    def _serve_stream(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            (length,) = struct.unpack("!H", sock.recv(2, socket.MSG_WAITALL))
            answer = self._answer(sock.recv(length, socket.MSG_WAITALL), "tcp")
            if answer is not None:
                data = answer.to_wire(max_size=65535)
                sock.sendall(struct.pack("!H", len(data)) + data)

    def _answer(self, wire: bytes, transport: str) -> Message | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.queries.append((transport, name, dns.rdatatype.to_text(question.rdtype)))
        fault = self.faults.get(name)
        if fault is Fault.SILENT:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if fault is Fault.SERVFAIL or (fault is Fault.BOGUS and not query.flags & dns.flags.CD):
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        if fault is Fault.TRUNCATED and transport == "udp":
            response.flags |= dns.flags.TC
            return response
        self._fill(response, name, dns.rdatatype.to_text(question.rdtype))
        if any(name == zone or name.endswith(f".{zone}") for zone in self.secure):
            response.flags |= dns.flags.AD
        return response

    def _fill(self, response: Message, name: str, kind: str) -> None:
        for _ in range(16):
            alias = self.records.get((name, "CNAME"))
            listed = self.records.get((name, kind))
            if listed:
                response.answer.append(dns.rrset.from_text_list(f"{name}.", self.ttl, "IN", kind, list(listed)))
                return
            if not alias:
                break
            response.answer.append(dns.rrset.from_text_list(f"{name}.", self.ttl, "IN", "CNAME", list(alias)))
            name = alias[0].rstrip(".")
        if not any(known == name or known.endswith(f".{name}") for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
