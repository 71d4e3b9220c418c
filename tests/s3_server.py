"""A storage that speaks S3, on loopback and in memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import boto3  # type: ignore[import-untyped]
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from resources.settings.object_storage import ObjectStorageSettings

_REGION = "us-east-1"


@contextmanager
def running_storage(bucket: str, objects: Mapping[str, bytes]) -> Iterator[ObjectStorageSettings]:
    """How to get into a storage with one bucket of objects; it ends with the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        storage = ObjectStorageSettings(
            endpoint_url=f"http://{host}:{port}",
            region=_REGION,
            access_key_id=SecretStr("a-key-of-the-storage"),
            secret_access_key=SecretStr("a-secret-of-the-storage"),
        )
        client = boto3.client(
            "s3",
            endpoint_url=storage.endpoint_url,
            region_name=_REGION,
            aws_access_key_id="a-key-of-the-storage",
            aws_secret_access_key="a-secret-of-the-storage",
        )
        client.create_bucket(Bucket=bucket)
        for key, body in objects.items():
            client.put_object(Bucket=bucket, Key=key, Body=body)
        yield storage
    finally:
        server.stop()


def settings_variables(storage: ObjectStorageSettings) -> dict[str, str]:
    """The environment variables that lead to the storage."""
    assert storage.access_key_id is not None
    assert storage.secret_access_key is not None
    return {
        "ANALYTICS_S3__ENDPOINT_URL": str(storage.endpoint_url),
        "ANALYTICS_S3__REGION": str(storage.region),
        "ANALYTICS_S3__ACCESS_KEY_ID": storage.access_key_id.get_secret_value(),
        "ANALYTICS_S3__SECRET_ACCESS_KEY": storage.secret_access_key.get_secret_value(),
    }
