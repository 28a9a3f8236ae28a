"""Build the demo page of gradio components."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from hmlpe.predict.demo.finder import DETECTED, GIVEN, WHOLE, PhotoResult
from hmlpe.predict.demo.markup import hint_html, message_html
from hmlpe.predict.demo.view import Settings, View, Viewer

if TYPE_CHECKING:
    pass


TITLE = "Poses in a photo"
MAX_PEOPLE = 20  # the upper end of the slider for the number of people in one photo
EXPIRY_S = 3600  # after this time without a request from its browser, a photo is deleted
MODES = [
    ("the people whom the detector finds", DETECTED),
    ("one person, who fills the photo", WHOLE),
    ("one person, in the box below", GIVEN),
]

Updates = dict[Any, Any]  # component -> its new value, or an update of its properties


def build_page(viewer: Viewer) -> gr.Blocks:
    """Build the page with its components and events; `serve.serve` serves it."""
    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(EXPIRY_S // 6, EXPIRY_S))
    with page:
        gr.HTML(f"<h1>{TITLE}</h1><p>Network: {escape(viewer.card.name)}. Photos are not kept, and not sent on.</p>")
        state = gr.State(None, time_to_live=EXPIRY_S)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                photo = gr.File(label="Photo", type="filepath", height=170, elem_id="photo")
                status = _html_component("status", message_html("Drop a photo above, or choose one."))
                person = gr.Radio([], label="Joints and maps of", visible=False, elem_id="person")
                link = _html_component("link")
                with gr.Accordion("Settings", open=False, elem_id="settings"):
                    mode = gr.Radio(MODES, value=DETECTED, label="Who is in the photo", elem_id="way")
                    box = gr.Textbox(
                        "",
                        label="Box: x0 y0 x1 y1 in pixels",
                        info="From the top of the head to the middle of the torso. Press Enter to apply.",
                        visible=False,
                        elem_id="box",
                    )
                    max_people = gr.Slider(
                        1, MAX_PEOPLE, value=10, step=1, label="Show at most this many people", elem_id="most"
                    )
            with gr.Column(scale=2, min_width=320):
                drawn = _html_component("drawn", hint_html())
                chosen = _html_component("chosen")

        def view_updates(view: View) -> Updates:
            numbers = [(f"person {index + 1}", index) for index in range(view.people)]
            return {
                state: view.result,
                status: view.status,
                drawn: view.drawn,
                person: gr.update(choices=numbers, value=0 if numbers else None, visible=len(numbers) > 1),
                link: gr.update(value=view.link, visible=bool(view.link)),
                chosen: view.chosen,
            }

        def on_upload(path: str, *given: Any) -> Updates:
            view = viewer.load_photo(Path(path), settings_of(*given))
            return {photo: None, **view_updates(view)}  # None: the field is ready for the next photo

        def on_settings(result: PhotoResult | None, *given: Any) -> Updates:
            wanted = settings_of(*given)
            asked = {box: gr.update(visible=wanted.mode == GIVEN)}
            return asked if result is None else {**asked, **view_updates(viewer.update_view(result, wanted))}

        # private: the functions are not offered as an API to other programs
        event_options: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
        settings, shows = [mode, box, max_people], [state, status, drawn, person, link, chosen]
        photo.upload(on_upload, [photo, *settings], [photo, *shows], **event_options)
        for event in (mode.input, box.submit, max_people.release):
            event(on_settings, [state, *settings], [box, *shows], **event_options)
        person.input(viewer.show_person, [state, person], [chosen], **event_options)
    return page


def settings_of(mode: str, box: str | None, max_people: float | None) -> Settings:
    """Return the settings from the components' values; the browser sends those that are hidden or empty as None."""
    return Settings(mode, box or "", max(1, int(max_people or 1)))


def _html_component(name: str, content: str = "") -> gr.HTML:
    """Return a component for HTML with this element id; it is hidden while it is empty, except for `chosen`."""
    return gr.HTML(content, elem_id=name, visible=bool(content) or name == "chosen", apply_default_css=False)
