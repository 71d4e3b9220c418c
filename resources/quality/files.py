"""Data sets in files: what stands after FROM for a path, a pattern or an address s3://…"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

from platform_assets.quality.sql_text import quoted, text_literal
from resources.settings.object_storage import ObjectStorageSettings

_READERS = {
    ".parquet": "read_parquet",
    ".pq": "read_parquet",
    ".csv": "read_csv",
    ".tsv": "read_csv",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
}
_COMPRESSED = (".gz", ".zst")
S3 = "s3://"


class DatasetUnreadable(ValueError):
    """There is no such data set, or it cannot be read; the message names it and what to do."""


def is_file_name(name: str) -> bool:
    """Whether this names a file, a folder or an address, and not a table of the warehouse."""
    return name.startswith(S3) or "/" in name or _reader(name) is not None


def local_relation(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The relation of a local file, of all files of a pattern, or of all Parquet files below a folder.

    Raises:
        DatasetUnreadable: nothing is there, or it is of no known kind.
    """
    path = str(Path(name).expanduser())
    if Path(path).is_dir():
        path = f"{path}/**/*.parquet"
    reader = _reader(path)
    if reader is None:
        raise DatasetUnreadable(f"{name}: the name of a data set in files ends in one of {', '.join(_READERS)}")
    relation = f"{reader}({text_literal(path)})"
    try:
        connection.execute(f"DESCRIBE SELECT * FROM {relation}")  # noqa: S608 - the path is a literal
    except duckdb.Error as error:
        raise DatasetUnreadable(f"{name}: {str(error).splitlines()[0]}") from None
    return relation


def s3_relation(connection: duckdb.DuckDBPyConnection, name: str, storage: ObjectStorageSettings, folder: Path) -> str:
    """The relation of an object, or of all objects below a prefix.

    Of Parquet only the columns that are asked for are fetched; text is fetched whole into `folder`, which has to last.
    Arrow fetches: DuckDB's own reader of S3 is an extension that a closed network cannot load.

    Raises:
        DatasetUnreadable: nothing is there, the storage refuses, or it is of no known kind.
    """
    import pyarrow as pa
    import pyarrow.dataset
    from pyarrow.fs import FileSelector, FileType, LocalFileSystem, copy_files

    place = name.removeprefix(S3)
    try:
        files = _file_system(storage)
        found = files.get_file_info(place.rstrip("/"))
        if found.type is FileType.Directory:
            below = files.get_file_info(FileSelector(found.path, recursive=True))
            paths = sorted(info.path for info in below if info.type is FileType.File and _reader(info.path))
        else:
            paths = [found.path] if found.type is FileType.File else []
        readers = {_reader(path) for path in paths}
        if not paths or len(readers) > 1 or None in readers:
            kinds = ", ".join(_READERS)
            raise DatasetUnreadable(f"{name}: there is no object, or no objects of one kind, with a name in {kinds}")
        if readers == {"read_parquet"}:
            view = f"objects {folder.name}"
            connection.register(view, pyarrow.dataset.dataset(paths, filesystem=files, format="parquet"))
            return quoted(view)
        copies = [str(folder / f"{number}-{Path(path).name}") for number, path in enumerate(paths)]
        for path, copy in zip(paths, copies, strict=True):
            copy_files(path, copy, source_filesystem=files, destination_filesystem=LocalFileSystem())
        return f"{readers.pop()}([{', '.join(map(text_literal, copies))}])"
    except (OSError, pa.ArrowInvalid) as error:
        raise DatasetUnreadable(f"{name}: {_without_secrets(str(error), storage)}") from None


def _file_system(storage: ObjectStorageSettings) -> Any:
    import os

    from pyarrow.fs import S3FileSystem

    # Arrow reads AWS_ENDPOINT_URL by itself, but not in every release that we allow.
    endpoint = storage.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    options: dict[str, Any] = {"connect_timeout": 10, "request_timeout": 60}
    if endpoint is not None:
        parts = urlsplit(endpoint)
        options |= {"endpoint_override": parts.netloc, "scheme": parts.scheme}
    if storage.region is not None:
        options["region"] = storage.region
    if storage.access_key_id is not None and storage.secret_access_key is not None:
        options["access_key"] = storage.access_key_id.get_secret_value()
        options["secret_key"] = storage.secret_access_key.get_secret_value()
    return S3FileSystem(**options)


def _without_secrets(text: str, storage: ObjectStorageSettings) -> str:
    for secret in (storage.access_key_id, storage.secret_access_key):
        if secret is not None:
            text = text.replace(secret.get_secret_value(), "***")
    return text.splitlines()[0] if text else "the storage gave no reason"


def _reader(name: str) -> str | None:
    bare = name.lower()
    for suffix in _COMPRESSED:
        bare = bare.removesuffix(suffix)
    return next((reader for suffix, reader in _READERS.items() if bare.endswith(suffix)), None)
