"""Where the walk over a message is: which bytes it reads, and the part that is found there, with its place."""

from __future__ import annotations

from msgspec import Struct

from mailgate.inspect.meaning import Meaning
from mailgate.inspect.parts import Part


class Text(Struct, frozen=True):
    """Bytes under inspection: the raw message (`span` None) or something decoded out of its bytes at `span`."""

    data: bytes
    span: tuple[int, int] | None = None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        return self.span or (start, end)


class At(Struct, frozen=True):
    """Where the walk is. `is_message`: the entity is a message, so that its only part is number 1. `enclosing`: types
    of the multiparts around it within its message, the outermost first. `is_attached`: inside an attached message."""

    place: str
    depth: int = 0
    default_type: str = "text/plain"
    is_message: bool = False
    is_strict: bool = True
    enclosing: tuple[str, ...] = ()
    is_attached: bool = False

    # Positional, not replace(): these run for every reading, and replace() took a quarter of the parser's time.
    def loosely(self, suffix: str = "") -> At:
        place = f"{self.place or '1'}~{suffix}" if suffix else self.place
        return At(place, self.depth, self.default_type, self.is_message, False, self.enclosing, self.is_attached)

    def read(self, is_strict: bool) -> At:
        """The same place in a reading that is strict, or not."""
        if is_strict == self.is_strict:
            return self
        return At(
            self.place, self.depth, self.default_type, self.is_message, is_strict, self.enclosing, self.is_attached
        )

    def within(self, multipart: str) -> At:
        enclosing = (*self.enclosing, multipart)
        return At(
            self.place, self.depth, self.default_type, self.is_message, self.is_strict, enclosing, self.is_attached
        )

    def deeper(self) -> At:
        """Inside the content of a leaf, where nothing is strict any longer."""
        return At(
            self.place, self.depth + 1, self.default_type, self.is_message, False, self.enclosing, self.is_attached
        )

    def leaf(self) -> At:
        """The place of the content of an entity that is no multipart."""
        return At(
            self.leaf_place, self.depth, self.default_type, False, self.is_strict, self.enclosing, self.is_attached
        )

    def attached(self) -> At:
        """The message that is the body of the entity here."""
        return At(self.leaf_place, self.depth + 1, "text/plain", True, self.is_strict, (), True)

    @property
    def leaf_place(self) -> str:
        return (f"{self.place}.1" if self.place else "1") if self.is_message else self.place

    def child(self, number: int, default_type: str) -> At:
        place = f"{self.place}.{number}" if self.place else str(number)
        return At(place, self.depth + 1, default_type, False, self.is_strict, self.enclosing, self.is_attached)


def found_at(
    at: At,
    data: bytes,
    origin: tuple[int, int],
    content_type: str,
    meaning: Meaning | None,
    encoding: str,
    name: str,
) -> Part:
    """The part with this content; `name` counts where no header fields say what it means."""
    names = meaning.names if meaning else ((name,) if name else ())
    return Part(
        place=at.place,
        name=names[0] if names else "",
        names=names,
        declared_type=content_type,
        encoding=encoding,
        data=data,
        is_attachment=meaning.is_attachment if meaning else bool(name),
        span=origin,
        is_strict=at.is_strict,
        places=(at.place,),
        is_own=not at.is_attached,
        is_forwarded=at.is_attached,
        enclosing=at.enclosing,
    )
