"""`scalableapp completion`: scripts for shells, and the answers that these and kubectl ask for.

An answer is cobra's, which kubectl wants of a plugin's kubectl_complete-NAME: candidates one a line, then a colon and
4 for "no files", or 0 for files.
"""

import argparse
import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalableapp.commands.plugin.completion import Wanted

_EXAMPLES = """\
examples:
  source <(scalableapp completion bash)
  scalableapp completion zsh > "${fpath[1]}/_scalableapp"
  scalableapp completion fish > ~/.config/fish/completions/scalableapp.fish

The kubectl plugin does not need them: kubectl calls kubectl_complete-scalableapp on PATH.
"""
_NO_FILES, _FILES = ":4", ":0"
# Somebody waits with a finger on the Tab key.
_TIMEOUT_SECONDS = 2.0
_MOST_NAMES = 500
# Lists of what `adopt` takes.
_TARGETS = {
    "deployment": "apps/v1/namespaces/{}/deployments",
    "statefulset": "apps/v1/namespaces/{}/statefulsets",
    "rollout": "argoproj.io/v1alpha1/namespaces/{}/rollouts",
    "hpa": "autoscaling/v2/namespaces/{}/horizontalpodautoscalers",
    "scaledobject": "keda.sh/v1alpha1/namespaces/{}/scaledobjects",
    "vpa": "autoscaling.k8s.io/v1/namespaces/{}/verticalpodautoscalers",
}

_SCRIPTS = {
    "bash": """\
_scalableapp() {
    local answer="$(scalableapp __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)"
    local IFS=$'\\n'
    if [ "${answer##*:}" = 0 ]; then
        COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
    else
        COMPREPLY=(${answer%:*})
    fi
}
complete -o filenames -F _scalableapp scalableapp
""",
    "zsh": """\
#compdef scalableapp
_scalableapp() {
    local -a answer=("${(@f)$(scalableapp __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ "${answer[-1]}" == ":0" ]]; then
        _files
    else
        compadd -- "${(@)answer[1,-2]}"
    fi
}
if [ "$funcstack[1]" = "_scalableapp" ]; then
    _scalableapp "$@"
else
    compdef _scalableapp scalableapp
fi
""",
    "fish": """\
function __scalableapp_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l answer (scalableapp __complete $words[2..-1] 2>/dev/null)
    if test "$answer[-1]" = ":0"
        __fish_complete_path (commandline -ct)
    else if test (count $answer) -gt 1
        printf '%s\\n' $answer[1..-2]
    end
end
complete -c scalableapp -f -a '(__scalableapp_complete)'
""",
}


def add_to(subparsers: Any) -> None:
    """Add the command; it sets `run`."""
    parser = subparsers.add_parser(
        "completion",
        help="print a shell completion script",
        description="Prints a script that completes commands, options, namespaces and apps in a shell.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=tuple(_SCRIPTS), help="the shell")
    parser.set_defaults(run=_script)


def _script(options: argparse.Namespace) -> int:
    print(_SCRIPTS[options.shell], end="")  # noqa: T201 - a command-line tool prints
    return 0


def complete(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Print the candidates for the last word. Never fails: without a cluster, names of it are not completed."""
    from scalableapp.commands.plugin.completion import Source, fitting, wanted  # noqa: PLC0415 - keeps other commands fast

    found = wanted(parser, words)
    candidates = found.stated if found.source is Source.STATED else _asked(found)
    for candidate in fitting(found, candidates):
        print(candidate)  # noqa: T201 - as above
    print(_FILES if found.source is Source.FILES else _NO_FILES)  # noqa: T201 - as above
    return 0


def _asked(found: "Wanted") -> Sequence[str]:
    from scalableapp.commands.plugin.completion import Source  # noqa: PLC0415 - as above
    from scalableapp.errors import ScalableAppError  # noqa: PLC0415 - as above

    if found.source in (Source.FILES, Source.NOTHING):
        return ()
    try:
        if found.source is Source.CONTEXTS:
            from scalableapp.adapters.kubeconfig import contexts  # noqa: PLC0415 - as above

            return contexts(found.given.get("kubeconfig"))
        return asyncio.run(asyncio.wait_for(_names(found), 2 * _TIMEOUT_SECONDS))
    except (ScalableAppError, TimeoutError):
        return ()


async def _names(found: "Wanted") -> list[str]:
    """Names from the cluster. Raises ClusterError."""
    from scalableapp.adapters.kube_api import METADATA_LIST, Request  # noqa: PLC0415 - as above
    from scalableapp.commands.console.cluster import connected  # noqa: PLC0415 - as above

    options = argparse.Namespace(**dict.fromkeys(("kubeconfig", "context", "namespace")))
    vars(options).update({name: found.given[name] for name in vars(options) if name in found.given})
    async with connected(options, _TIMEOUT_SECONDS) as connection:
        path, lead = _where(found, connection.namespace)
        query = {"limit": str(_MOST_NAMES)}
        listed = await connection.api.ask(Request("GET", path, query, accept=METADATA_LIST), tries=1)
    return [f"{lead}{item['metadata']['name']}" for item in listed.get("items") or ()]


def _where(found: "Wanted", namespace: str) -> tuple[str, str]:
    """The list that has the names, and what stands in front of each."""
    from scalableapp.commands.plugin.completion import Source  # noqa: PLC0415 - as above
    from scalableapp.core.children.resources import API_VERSION  # noqa: PLC0415 - as above

    if found.source is Source.NAMESPACES:
        return "/api/v1/namespaces", ""
    if found.source is Source.DEPLOYMENTS:
        return f"/apis/apps/v1/namespaces/{namespace}/deployments", "deployment/"
    stated, slash, _ = found.word.partition("/")
    if found.source is Source.TARGETS:
        kind = stated if slash and stated in _TARGETS else "deployment"
        return f"/apis/{_TARGETS[kind].format(namespace)}", f"{kind}/"
    where = stated if slash else namespace
    return f"/apis/{API_VERSION}/namespaces/{where}/scalableapps", f"{stated}/" if slash else ""
