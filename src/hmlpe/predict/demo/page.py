"""The page's boxes and buttons, by gradio, and how it is served: by this machine, to it alone unless told otherwise."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from hmlpe.address import url_of
from hmlpe.predict.demo.finder import DETECTED, GIVEN, WHOLE, Answer
from hmlpe.predict.demo.markup import hint, message
from hmlpe.predict.demo.view import Settings, View, Viewer

if TYPE_CHECKING:
    from gradio import Blocks


TITLE = "Poses in a photo"
MOST = 20  # people in one photo
FORGET_S = 3600  # after this time without a word from its browser, a photo is forgotten
WAYS = [
    ("the people whom the detector finds", DETECTED),
    ("one person, who fills the photo", WHOLE),
    ("one person, in the box below", GIVEN),
]

Updates = dict[Any, Any]  # component -> its new value, or what is new about it


def build_page(viewer: Viewer) -> gr.Blocks:
    """The page, not yet served."""
    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(FORGET_S // 6, FORGET_S))
    with page:
        gr.HTML(f"<h1>{TITLE}</h1><p>Network: {escape(viewer.card.name)}. Photos are not kept, and not sent on.</p>")
        state = gr.State(None, time_to_live=FORGET_S)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                photo = gr.File(label="Photo", type="filepath", height=170, elem_id="photo")
                status = _html("status", message("Drop a photo above, or choose one."))
                person = gr.Radio([], label="Joints and maps of", visible=False, elem_id="person")
                link = _html("link")
                with gr.Accordion("Settings", open=False, elem_id="settings"):
                    way = gr.Radio(WAYS, value=DETECTED, label="Who is in the photo", elem_id="way")
                    box = gr.Textbox(
                        "",
                        label="Box: x0 y0 x1 y1 in pixels",
                        info="From the top of the head to the middle of the torso. Enter takes it.",
                        visible=False,
                        elem_id="box",
                    )
                    most = gr.Slider(1, MOST, value=10, step=1, label="Show at most so many people", elem_id="most")
            with gr.Column(scale=2, min_width=320):
                drawn = _html("drawn", hint())
                chosen = _html("chosen")

        def shown(view: View) -> Updates:
            numbers = [(f"person {index + 1}", index) for index in range(view.people)]
            return {
                state: view.answer,
                status: view.status,
                drawn: view.drawn,
                person: gr.update(choices=numbers, value=0 if numbers else None, visible=len(numbers) > 1),
                link: gr.update(value=view.link, visible=bool(view.link)),
                chosen: view.chosen,
            }

        def take(path: str, *given: Any) -> Updates:
            return {photo: None, **shown(viewer.take(Path(path), settings_of(*given)))}  # ready for the next photo

        def again(answer: Answer | None, *given: Any) -> Updates:
            wanted = settings_of(*given)
            asked = {box: gr.update(visible=wanted.way == GIVEN)}
            return asked if answer is None else {**asked, **shown(viewer.look(answer, wanted))}

        # private: offered to no other program
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        settings, shows = [way, box, most], [state, status, drawn, person, link, chosen]
        photo.upload(take, [photo, *settings], [photo, *shows], **quiet)
        for event in (way.input, box.submit, most.release):
            event(again, [state, *settings], [box, *shows], **quiet)
        person.input(viewer.choose, [state, person], [chosen], **quiet)
    return page


def settings_of(way: str, box: str | None, most: float | None) -> Settings:
    """As the browser sends them: what is hidden or emptied is None."""
    return Settings(way, box or "", max(1, int(most or 1)))


def _html(name: str, content: str = "") -> gr.HTML:
    return gr.HTML(content, elem_id=name, visible=bool(content) or name == "chosen", apply_default_css=False)


SILENT = {  # gradio and its hub client report their use, and look for news, unless told not to when imported
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
PATIENCE_S = 1  # for requests under way when the program is to end
LARGEST = "200mb"  # that a photo may have


@contextmanager
def quiet_session() -> Iterator[None]:
    """Within it, gradio is imported without a word to the network, and its files lie in a folder that then goes."""
    before, handler = tempfile.tempdir, signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="hmlpe-demo-", ignore_cleanup_errors=True) as folder:
            tempfile.tempdir = folder  # uploads that are still on their way, too
            os.environ.update(SILENT, GRADIO_TEMP_DIR=folder)
            yield
    finally:
        tempfile.tempdir = before
        signal.signal(signal.SIGTERM, handler)


def serve(blocks: Blocks, style: str, held: socket.socket, open_browser: bool = False) -> None:
    """Serve the page until a signal ends the program; SIGINT then raises KeyboardInterrupt.

    Not by gradio's own `launch`: that one asks its own address by HTTP, through a proxy if the environment names one,
    and can open tunnels.
    """
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI

    host, port = held.getsockname()[:2]
    app = gr.mount_gradio_app(
        FastAPI(openapi_url=None),  # its documentation would load scripts from elsewhere
        blocks,
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        max_file_size=LARGEST,
        theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=style,
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=PATIENCE_S))
    url = url_of(held)
    print(f"the page is at {url} (Ctrl-C ends it)", flush=True)
    if open_browser:
        webbrowser.open(url)
    server.run(sockets=[held])
