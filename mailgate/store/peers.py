"""The gateway's other processes, as far as they are connected: they are told what changed."""

from __future__ import annotations

from mailgate.ipc.calls import DirectoryChanged, PolicyChanged, RelayWork
from mailgate.ipc.frames import Peer
from mailgate.model.envelope import TenantName
from mailgate.policy.snapshot import Snapshot

RELAY_ROLE = "relay"


class Peers:
    """Lives in the event loop. `connected` is kept by the connections themselves."""

    def __init__(self) -> None:
        self.connected: set[Peer] = set()

    def tell_relay(self) -> None:
        """Something for the relay may be due."""
        for peer in tuple(self.connected):
            if peer.role == RELAY_ROLE:
                peer.push(RelayWork())

    def directory_changed(self, tenant: TenantName) -> None:
        for peer in tuple(self.connected):
            peer.push(DirectoryChanged(tenant))

    def policy_changed(self, snapshot: Snapshot) -> None:
        encoded = snapshot.encode()
        for peer in tuple(self.connected):
            peer.push(PolicyChanged(encoded))
