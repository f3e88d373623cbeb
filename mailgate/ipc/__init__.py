"""How the processes of one gateway speak to each other: msgpack frames over Unix sockets, typed on both ends."""
