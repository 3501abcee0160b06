# SPDX-License-Identifier: EUPL-1.2
"""What the API server is asked: whether a token is good (TokenReview), and which labels a namespace has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nhi.auth.kubernetes.model import Config
from nhi.auth.kubernetes.pod import Pod
from vault.framework import schema
from vault.framework.errors import Forbidden, Malformed, Unauthenticated
from vault.framework.fields import Json
from vault.framework.limits import JsonLimits
from vault.framework.telemetry.log import Log
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Answer, Fetcher, OutboundRequest
from vault.outbound.shares import Owner

_LIMITS = JsonLimits(strings=8192, memory=4 << 20)


class ApiServer:
    """Asks the API server. The client learns only that the login failed; the reason goes to the log."""

    def __init__(self, fetcher: Fetcher, pod: Pod, log: Log) -> None:
        self._fetcher = fetcher
        self._pod = pod
        self._log = log

    async def review(
        self, owner: Owner, config: Config, token: str, audiences: Sequence[str]
    ) -> Mapping[str, Json]:
        """Return the user of a good token. Raises `Unauthenticated`."""
        spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        answer = await self._ask(
            owner,
            config,
            "/apis/authentication.k8s.io/v1/tokenreviews",
            self._reviewer(config) or token,
            schema.encode(body),
        )
        status = _object(_document(answer).get("status"))
        if answer.status not in {200, 201} or status.get("authenticated") is not True or status.get("error"):
            self._log.caution("auth", "a token review was refused")
            raise Unauthenticated(detail="refused-by-cluster")
        confirmed = status.get("audiences")
        if audiences and not (isinstance(confirmed, list) and set(audiences) & set(map(str, confirmed))):
            raise Unauthenticated(
                detail="wrong-audience"
            )  # the API server did not look at audiences, or found another one
        return _object(status.get("user"))

    async def labels(self, owner: Owner, config: Config, namespace: str) -> Mapping[str, str]:
        """Return the labels of a namespace. Raises `Forbidden`."""
        reviewer = self._reviewer(config)
        if not reviewer:
            raise Forbidden(
                "namespace not authorized err=namespace lookup failed: TokenReviewer JWT needs to be configured to use "
                "namespace selectors",
                chained=False,
            )
        try:
            answer = await self._ask(owner, config, f"/api/v1/namespaces/{namespace}", reviewer)
        except Unauthenticated:
            raise Forbidden("namespace not authorized err=namespace lookup failed", chained=False) from None
        if answer.status != 200:
            raise Forbidden("namespace not authorized err=namespace lookup failed", chained=False)
        found = _object(_object(_document(answer).get("metadata")).get("labels"))
        return {key: value for key, value in found.items() if isinstance(value, str)}

    def _reviewer(self, config: Config) -> str:
        return config.token_reviewer_jwt.strip() or ("" if config.disable_local_ca_jwt else self._pod.token())

    async def _ask(self, owner: Owner, config: Config, path: str, bearer: str, body: bytes = b"") -> Answer:
        host = config.kubernetes_host.rstrip("/")
        headers = {"Authorization": f"Bearer {bearer}"}
        if body:
            headers["Content-Type"] = "application/json"
        try:
            return await self._fetcher.send(
                OutboundRequest(
                    (host if "://" in host else f"https://{host}") + path,
                    owner=owner,
                    method="POST" if body else "GET",
                    headers=headers,
                    body=body,
                    authorities=config.kubernetes_ca_cert or self._pod.authorities(),
                )
            )
        except Unreachable as failure:
            self._log.caution("auth", "the Kubernetes API server cannot be asked", reason=str(failure))
            raise Unauthenticated(detail="unreachable") from None


def _document(answer: Answer) -> Mapping[str, Json]:
    try:
        return schema.decode_object(answer.body, limits=_LIMITS)
    except Malformed:
        return {}


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}
