"""The machine's microphone and loudspeaker, through PortAudio (the package ``sounddevice``, imported when needed)."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any, Literal

from echostack.core.errors import ConnectorFailure, MissingExtra

EXTRA = "microphone"
Direction = Literal["input", "output"]
_NAMES = {"input": "microphone", "output": "loudspeaker"}


def sounddevice(connector: str) -> Any:
    """The module. MissingExtra without the package, ConnectorFailure without the PortAudio library below it."""
    try:
        return import_module("sounddevice")
    except ImportError as error:
        raise MissingExtra(connector, "sounddevice", EXTRA) from error
    except OSError as error:  # what it raises when the shared library is not there
        raise ConnectorFailure(
            f"{connector}: this machine has no PortAudio library ({error}); on Debian and Ubuntu install it with: "
            "apt install libportaudio2",
            retryable=False,
        ) from error


def require_device(connector: str, direction: Direction, device: str | int | None = None) -> None:
    """Raise the one clear ConnectorFailure or MissingExtra when there is no such device; blocks for some ms."""
    module = sounddevice(connector)
    name = _NAMES[direction]
    try:
        module.query_devices(device, direction)
    except (ValueError, module.PortAudioError) as error:
        known = _known(module, direction)
        if not known:
            why = f"this machine has no {name}"
        else:
            wanted = f"no {name} {device!r}" if device is not None else f"no default {name}"
            why = f"this machine has {wanted}; it has: {', '.join(known)}"
        help = "to run a call from files instead: echostack run FILE --in call.wav --out reply.wav"
        raise ConnectorFailure(f"{connector}: {why}; {help}", retryable=False) from error


class Device:
    """A raw mono 16-bit stream to or from a device; ``options`` are sounddevice's own.

    ``open`` blocks, so it belongs on ``context.compute``; ``close`` may come from another thread and before ``open``
    has ended: the stream is then closed as soon as it is there.
    """

    def __init__(self, connector: str, direction: Direction, device: str | int | None, **options: Any) -> None:
        self._connector, self._direction, self._device, self._options = connector, direction, device, options
        self._lock = threading.Lock()
        self._stream: Any = None
        self._closed = False

    def open(self) -> None:
        """Open and start it. ConnectorFailure when there is no such device or it refuses, MissingExtra."""
        require_device(self._connector, self._direction, self._device)
        module = sounddevice(self._connector)
        make = module.RawInputStream if self._direction == "input" else module.RawOutputStream
        try:
            stream = make(device=self._device, channels=1, dtype="int16", **self._options)
            try:
                stream.start()
            except BaseException:
                stream.close()
                raise
        except (ValueError, module.PortAudioError) as error:
            raise ConnectorFailure(
                f"{self._connector}: the {_NAMES[self._direction]} does not open at "
                f"{self._options['samplerate'] / 1000:g} kHz: {error}",
                retryable=False,
            ) from error
        with self._lock:
            self._stream, late = stream, self._closed
        if late:
            self.close()

    def close(self) -> None:
        """Stop at once and release the device; a second time does nothing."""
        with self._lock:
            stream, self._stream, self._closed = self._stream, None, True
        if stream is not None:
            stream.abort()
            stream.close()


def _known(module: Any, direction: Direction) -> list[str]:
    try:
        devices = module.query_devices()
    except (ValueError, module.PortAudioError):
        return []
    return [repr(d["name"]) for d in devices if d[f"max_{direction}_channels"] > 0]
