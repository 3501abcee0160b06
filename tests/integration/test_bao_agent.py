# SPDX-License-Identifier: EUPL-1.2
"""`bao agent` logs in, renders templates, renews its token and keeps a process, on our server as on the field's."""

import contextlib
from pathlib import Path
from typing import Any

import hvac

from tests.integration.coffre import Place
from tests.integration.helpers_of_bao import Workload, text

EVERY_SECOND = 'template_config { static_secret_render_interval = "1s" }'


def template(name: str, destination: Path) -> str:
    """A template of the workload's secret."""
    return f"""
template {{
  contents    = "{{{{ with secret \\"{name}/data/app\\" }}}}password={{{{ .Data.data.password }}}}{{{{ end }}}}"
  destination = "{destination}"
}}
"""


def test_the_agent_logs_in_renders_a_template_and_renders_it_again(
    root: hvac.Client, place: Place, name: str, tmp_path: Path
) -> None:
    workload = Workload(root, place, tmp_path, name)
    rendered = tmp_path / "rendered"
    with workload.running("agent", EVERY_SECOND + template(name, rendered)) as agent:
        agent.until(lambda: text(rendered) == "password=first")
        token = root.auth.token.lookup(text(workload.token))["data"]
        assert token["meta"] == {"role_name": "app"}
        assert token["policies"] == ["default", name]
        workload.write(password="second")
        agent.until(lambda: text(rendered) == "password=second")


def test_the_agent_renews_its_token_and_logs_in_again_when_it_was_revoked(
    root: hvac.Client, place: Place, name: str, tmp_path: Path
) -> None:
    workload = Workload(root, place, tmp_path, name, ttl="4s")
    with workload.running("agent", "") as agent:
        seen: dict[str, Any] = {}

        def current(field: str) -> bool:
            """Look up the agent's token; on a slow machine it may have ended, and the agent makes another."""
            with contextlib.suppress(hvac.exceptions.VaultError):
                seen.update(root.auth.token.lookup(text(workload.token))["data"])
            return field in seen

        agent.until(lambda: current("last_renewal"))
        first = seen["id"]
        with contextlib.suppress(hvac.exceptions.VaultError):
            root.auth.token.revoke(first)
        seen.clear()
        agent.until(lambda: text(workload.token) != first and current("meta"))
        assert seen["meta"] == {"role_name": "app"}


def test_the_agent_keeps_a_process_and_starts_it_anew_with_new_secrets(
    root: hvac.Client, place: Place, name: str, tmp_path: Path
) -> None:
    workload = Workload(root, place, tmp_path, name)
    seen = tmp_path / "seen"
    more = f"""
{EVERY_SECOND}
env_template "PASSWORD" {{
  contents = "{{{{ with secret \\"{name}/data/app\\" }}}}{{{{ .Data.data.password }}}}{{{{ end }}}}"
}}
exec {{
  command                   = ["sh", "-c", "echo $PASSWORD >> {seen}; exec tail -f /dev/null"]
  restart_on_secret_changes = "always"
  restart_stop_signal       = "SIGTERM"
}}
"""
    with workload.running("agent", more) as agent:
        agent.until(lambda: text(seen) == "first\n")
        workload.write(password="second")
        agent.until(lambda: text(seen) == "first\nsecond\n")


def test_the_agent_takes_a_wrapped_secret_id(
    root: hvac.Client, place: Place, name: str, tmp_path: Path
) -> None:
    workload = Workload(root, place, tmp_path, name)
    wrapped = root.auth.approle.generate_secret_id("app", mount_point=name, wrap_ttl="5m")
    (tmp_path / "secret-id").write_text(wrapped["wrap_info"]["token"])
    rendered = tmp_path / "rendered"
    expected = f'secret_id_response_wrapping_path = "auth/{name}/role/app/secret-id"'
    with workload.running("agent", template(name, rendered), expected) as agent:
        agent.until(lambda: text(rendered) == "password=first")
