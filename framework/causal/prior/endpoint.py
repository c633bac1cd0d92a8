"""Chat with a language model through the OpenAI protocol, on a hosted service or your own server."""

import math
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

_FLAG = "--config.prior.elicit"
_WORD = 5  # letters of what is given in the place of a key where the server wants none
_LONGEST = 300  # characters of a server's words that an error repeats


class SamplingWarning(UserWarning):
    """The server refused a sampling parameter and uses its own."""


class _ErrorInResponse(Exception):
    """An error in a response with status 200."""


def source(base_url: str | None = None, model: str | None = None, temperature: float | None = 0.0) -> str | None:
    """Describes the model and its server, for the field `source` of an answer file.

    Args:
      base_url: as for `chat`.
      model: as for `chat`.
      temperature: as for `chat`.

    Returns:
      The description, or None if neither the arguments nor the environment name the server and the model.
    """
    base_url, model = _url(base_url), _model(model)
    if not base_url or not model:
        return None
    return f"{model} at {base_url}, " + ("own temperature" if temperature is None else f"temperature {temperature:g}")


@contextmanager
def chat(
    base_url: str | None = None,
    model: str | None = None,
    key: str | None = None,
    *,
    timeout: float = 60.0,
    retries: int = 5,
    temperature: float | None = 0.0,
) -> Iterator[Callable[[str], str]]:
    """Opens an endpoint: `with chat(...) as ask`, then `ask(prompt)` is the model's reply, from any thread.

    A request is retried if the server is busy (429), fails (5xx), is too slow or cannot be reached: after the delay in
    its Retry-After header, or else with exponential backoff. If the server refuses a sampling parameter by name (some
    models accept only their own temperature), the request and all later ones are sent without it. The key is sent to
    the server only.

    Args:
      base_url: where the protocol begins, as in "http://localhost:8000/v1"; by default the variable OPENAI_BASE_URL.
      model: by default the variable OPENAI_MODEL.
      key: by default the variable OPENAI_API_KEY; a server that wants none takes any.
      timeout: seconds without a response before a retry.
      retries: the largest number of retries of one prompt.
      temperature: of the sampling, at least 0; None leaves it to the server, as some models demand.

    Returns:
      A context manager for the function `ask`.

    Raises:
      ValueError: if the package `openai` or a setting is missing or wrong, or the server refuses the request or answers
        it with something else than a chat completion.
      ConnectionError: if there is no answer after all retries.

    Warns:
      SamplingWarning: once, if the server refuses the temperature and answers without it.
    """
    url, model, key = _settings(base_url, model, key)
    if temperature is not None and not 0 <= temperature < math.inf:
        raise ValueError(f"an endpoint wants a temperature from 0 on, or None for the server's own, got {temperature}")
    if timeout <= 0 or retries < 0:
        raise ValueError(f"an endpoint wants a timeout above 0 s and retries from 0 on, got {timeout} and {retries}")
    openai = _package()
    sampling = {} if temperature is None else {"temperature": temperature}
    with openai.OpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=retries) as client:

        def complete(prompt: str) -> Any:
            """A completion; without the settings of the sampling that the server refuses by name."""
            request, tried = {"model": model, "messages": [{"role": "user", "content": prompt}]}, dict(sampling)
            try:
                return client.chat.completions.create(**request, **tried)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refused = [name for name in tried if _names(error, name)]
                if not refused:
                    raise
                completion = client.chat.completions.create(
                    **request, **{name: value for name, value in tried.items() if name not in refused}
                )
                for name in refused:
                    if sampling.pop(name, None) is not None:  # another thread may have been first
                        _warn_of_refusal(url, name, tried[name])
                return completion

        def ask(prompt: str) -> str:
            try:
                return _reply(complete(prompt))
            except openai.APITimeoutError:
                raise ConnectionError(f"{url}: no answer within {timeout:g} s, asked {retries + 1} times") from None
            except openai.APIConnectionError as error:
                why = _one_line(error.__cause__ or error, key)
                raise ConnectionError(f"{url}: cannot be reached, tried {retries + 1} times: {why}") from None
            except openai.APIStatusError as error:
                raise _refusal(url, error, key) from None
            except _ErrorInResponse as error:
                raise ConnectionError(
                    f"{url}: the server said: {_one_line(error, key)}; ask again later, what was answered is kept"
                ) from None
            except (ValueError, TypeError, AttributeError, LookupError):
                raise ValueError(
                    f"{url}: the answer is not a chat completion; wanted is the address of a server of the OpenAI "
                    "protocol, mostly up to /v1"
                ) from None

        yield ask


def _url(base_url: str | None) -> str:
    return base_url or os.environ.get("OPENAI_BASE_URL", "")


def _model(model: str | None) -> str:
    return model or os.environ.get("OPENAI_MODEL", "")


def _settings(base_url: str | None, model: str | None, key: str | None) -> tuple[str, str, str]:
    """URL, model and key, from the arguments or else from the environment."""
    url, model, key = _url(base_url), _model(model), (key or os.environ.get("OPENAI_API_KEY", "")).strip()
    if not url:
        raise ValueError(f"no endpoint to ask: give {_FLAG}.base_url or the variable OPENAI_BASE_URL")
    if not model:
        raise ValueError(f"no model to ask at {url}: give {_FLAG}.model or the variable OPENAI_MODEL")
    if not key:
        raise ValueError(
            f"no key for {url}: give the variable OPENAI_API_KEY (any word, if the server wants none); a flag would be "
            "written into the run's files"
        )
    if not key.isascii() or not key.isprintable():
        # the HTTP client would refuse it too, and show it
        raise ValueError(
            "the key of OPENAI_API_KEY has characters that cannot be sent; wanted is plain ASCII in one line"
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
        raise ValueError(
            f"{_FLAG}.base_url or OPENAI_BASE_URL must look like https://host/v1, without a name or a key in it; got "
            f"scheme {parts.scheme!r} and host {parts.hostname!r}"
        )
    return url, model, key


def _package() -> Any:
    try:
        import openai
    except ImportError:
        raise ValueError("asking an endpoint needs the package openai: pip install '.[plm]'") from None
    return openai


def _reply(completion: Any) -> str:
    """The text of the first choice; a refusal is a text too, and no text is an empty one.

    Some servers give a text in parts, of which those that are thoughts do not count; some say an error with status 200.
    """
    error = getattr(completion, "error", None)
    if error and not getattr(completion, "choices", None):
        raise _ErrorInResponse(error.get("message", error) if isinstance(error, dict) else error)
    message = completion.choices[0].message
    reply = message.content or message.refusal or ""
    if isinstance(reply, list):
        reply = "".join(part["text"] for part in reply if part["type"] == "text")
    if not isinstance(reply, str):
        raise TypeError
    return reply


def _names(error: Any, parameter: str) -> bool:
    """True if a server refuses a request for the sake of this parameter."""
    body = error.body if isinstance(error.body, dict) else {"message": error.body}
    message = f"{body.get('param', '')} {body.get('message', body)}"
    return re.search(rf"(?<![\w.]){re.escape(parameter)}(?!\w)", message, re.I) is not None


def _warn_of_refusal(url: str, parameter: str, value: Any) -> None:
    warnings.warn(
        f"{url}: the server takes no {parameter} of {value:g}: asked without it, answers are drawn with its own, and "
        f"the same question may be answered otherwise; {_FLAG}.{parameter}=-1 leaves it to the server at once",
        SamplingWarning,
        stacklevel=2,
    )


def _refusal(url: str, error: Any, key: str) -> Exception:
    """The error for a status that is none of success, with the server's own words."""
    body = error.body.get("message", error.body) if isinstance(error.body, dict) else error.body
    message = f"{url}: the server said {error.status_code}: {_one_line(body or 'nothing more', key)}"
    if error.status_code in (401, 403):
        return ValueError(f"{message}; the key is that of OPENAI_API_KEY")
    if error.status_code == 404:
        return ValueError(f"{message}; look at the address ({_FLAG}.base_url) and the model ({_FLAG}.model)")
    if error.status_code in (408, 409, 429) or error.status_code >= 500:
        return ConnectionError(f"{message}; ask again later, what was answered is kept")
    return ValueError(message)


def _one_line(text: Any, key: str) -> str:
    """In one line, not too long, and without the key, which some servers repeat; a word of a few letters is no key."""
    text = str(text).replace(key, "(the key)") if len(key) > _WORD else str(text)
    return " ".join(text.split())[:_LONGEST]
