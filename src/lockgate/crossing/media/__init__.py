"""Media: what fits where, writing with read-back, reading without mounting."""

from lockgate.crossing.media.image import ImageForm, write_image
from lockgate.crossing.media.iso import IsoImage
from lockgate.crossing.media.life import Disposition, MediaLife, MediumEvent, MediumLife
from lockgate.crossing.media.luks import LuksHeader, format_luks, open_luks, read_luks
from lockgate.crossing.media.sizes import MEDIA, Medium, medium_named, pieces, write_seconds
from lockgate.crossing.media.sources import MediumContent, opened_medium
from lockgate.crossing.media.take import MediaReader, Taken
from lockgate.crossing.media.udf import UdfImage
from lockgate.crossing.media.write import MediaWriter, Piece, Written

__all__ = [
    "MEDIA",
    "Disposition",
    "ImageForm",
    "IsoImage",
    "LuksHeader",
    "MediaLife",
    "MediaReader",
    "MediaWriter",
    "Medium",
    "MediumContent",
    "MediumEvent",
    "MediumLife",
    "Piece",
    "Taken",
    "UdfImage",
    "Written",
    "format_luks",
    "medium_named",
    "open_luks",
    "opened_medium",
    "pieces",
    "read_luks",
    "write_image",
    "write_seconds",
]
