"""Code: the notebook cell that gives what is shown."""

from __future__ import annotations

from collections.abc import Sequence

from ipywidgets import HTML, Widget

from workbench import markup
from workbench.ui.panels.panel import Panel, note


class CodePanel(Panel):
    """One click marks all of it, ready to be copied."""

    title = "Code"
    needs_sound_data = False
    follows = frozenset({"data", "model", "method", "run", "draft"})

    def build(self) -> Sequence[Widget]:
        """Make the widgets."""
        self.about = note()
        self.text = HTML()
        return [self.about, self.text]

    def render(self, changed: frozenset[str]) -> None:
        """Show the cell."""
        run, state = self.state.run, self.state
        if state.draft is not None:
            about = "This cell reads the data as they are now, with the errors that are left."
        elif run is not None and state.is_current and run.method == state.method:
            about = f"This cell gives run {run.number} again, to the digit."
        else:
            about = "This cell fits the model as it is stated now; it has not been fitted yet."
        self.about.value = f"{about} One click marks all of it."
        self.text.value = f"<pre class='wb-code' tabindex='0' aria-label='code'>{markup.escaped(state.code)}</pre>"
