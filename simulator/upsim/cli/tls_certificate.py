"""The check of a server's TLS certificate, `--tls-cert` and `--tls-key`, before it starts."""

from __future__ import annotations

import ssl
import sys

import click

from upsim.cli.listen_address import FINDING


def check_certificate(cert: str | None, key: str | None) -> None:
    """Exit with a message that names the files if they cannot be used as a certificate."""
    if cert is None:
        if key is not None:
            raise click.UsageError("--tls-key needs --tls-cert")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = cert if key is None else f"{cert} with the key {key}"
        hint = "" if key else " (without --tls-key the file must also contain the key)"
        click.echo(f"upsim: cannot use the certificate {files}: {error}{hint}", err=True)
        sys.exit(FINDING)
