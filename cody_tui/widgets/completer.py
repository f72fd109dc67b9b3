"""What the word at the cursor of the prompt could become, and what is taken of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from cody_core.errors import CodyError
from textual.worker import Worker

from cody_tui.widgets.mentions import Word, mention, word_before

if TYPE_CHECKING:
    from cody_tui.widgets.completion import Suggestion, Suggestions
    from cody_tui.widgets.prompt import Prompt

FindFiles: TypeAlias = "Callable[[str, int], Awaitable[Sequence[str]]]"

_GROUP: Final = "completion"


class Completer:
    """Offers files and commands above a prompt.

    What was dismissed stays away as long as the cursor is in the same word.
    """

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._list: Suggestions | None = None
        self._word: Word | None = None
        self._dismissed: tuple[int, int] | None = None
        self._search: Worker[None] | None = None

    def update(self) -> None:
        """Offer what fits the word at the cursor."""
        word = self._current()
        place = self._place(word)
        if place != self._dismissed:
            self._dismissed = None
        if word is None or self._dismissed is not None or not self._prompt.has_focus:
            self.close()
        elif word != self._word:
            self._word = word
            self._look_for(word)

    def dismiss(self) -> None:
        """Offer nothing for the word at the cursor."""
        self._dismissed = self._place(self._current())
        self.close()

    def close(self) -> None:
        """Offer nothing for now."""
        self._word = None
        self._stop()
        if self._list is not None:
            self._list.offer(())

    def move(self, step: int) -> bool:
        """Choose another row; tell whether there is any."""
        if (offered := self._offered()) is not None:
            offered.move(step)
        return offered is not None

    def take(self, *, unless_complete: bool = False) -> bool:
        """Take the chosen row; tell whether there was one.

        With ``unless_complete``, a word that cannot become anything else is left as it is.
        """
        offered = self._offered()
        if offered is None or offered.suggestion is None:
            return False
        if unless_complete and self._is_complete():
            return False
        self._take(offered.suggestion)
        return True

    def leave(self) -> bool:
        """Offer nothing for the word at the cursor; tell whether anything was offered."""
        is_offered = self._offered() is not None
        if is_offered:
            self.dismiss()
        return is_offered

    def _offered(self) -> Suggestions | None:
        """Return the list, if there is something on it for the word as it stands."""
        self.update()
        return self._list if self._list is not None and self._list.is_open else None

    def _look_for(self, word: Word) -> None:
        self._stop()
        if word.kind == "command":
            self._offer(self._commands(word.query))
        elif self._prompt.find_files is not None:
            work = self._find(self._prompt.find_files, word)
            self._search = self._prompt.run_worker(work, group=_GROUP)

    def _commands(self, query: str) -> list[Suggestion]:
        from cody_tui.matching import best
        from cody_tui.widgets.completion import Suggestion

        commands = [action for action in self._prompt.commands if action.slash]
        begun = [action for action in commands if action.slash.startswith(query)]
        alike = best(query, commands, lambda action: f"{action.slash} {action.title}")
        return [
            Suggestion(action.slash, f"/{action.slash} {action.argument}".rstrip(), action.title)
            for action in dict.fromkeys([*sorted(begun, key=lambda one: one.slash), *alike])
        ]

    async def _find(self, find_files: FindFiles, word: Word) -> None:
        from cody_tui.widgets.completion import MOST_ROWS, Suggestion

        try:
            paths = await find_files(word.query, MOST_ROWS)
        except CodyError as error:
            self._prompt.say(error.message)
            self.dismiss()
            return
        if word == self._word:
            # Of a name that cannot be shown as it is, what is written would be another one.
            self._offer([Suggestion(path, path) for path in paths if path.isprintable()])

    def _offer(self, rows: Sequence[Suggestion]) -> None:
        if self._list is None:
            if not rows:
                return
            from cody_tui.widgets.completion import Suggestions

            self._list = Suggestions(self._take, classes="-floating")
            self._prompt.screen.mount(self._list, before=self._prompt)
        self._list.offer(rows)

    def _take(self, suggestion: Suggestion) -> None:
        """Put what was chosen in the place of the word."""
        word = self._current()
        if word is None:
            return
        row, column = self._prompt.cursor_location
        name = f"/{suggestion.text}" if word.kind == "command" else mention(suggestion.text)
        line = self._prompt.document.get_line(row)
        end = column + (line[column : column + 1] in ('"', " ") and name.endswith(line[column]))
        end += line[end : end + 1] == " "
        self._prompt.replace(
            f"{name} ", (row, word.start), (row, end), maintain_selection_offset=False
        )
        self.close()

    def _is_complete(self) -> bool:
        """Tell whether nothing is left to choose."""
        if self._word is None or self._list is None:
            return True
        if self._word.kind == "command":
            return any(row.text == self._word.query for row in self._list.rows)
        chosen = self._list.suggestion
        return chosen is not None and chosen.text == self._word.query

    def _current(self) -> Word | None:
        row, column = self._prompt.cursor_location
        if not self._prompt.selection.is_empty or row >= self._prompt.document.line_count:
            return None
        return word_before(self._prompt.document.get_line(row)[:column], row)

    def _place(self, word: Word | None) -> tuple[int, int] | None:
        return (self._prompt.cursor_location[0], word.start) if word is not None else None

    def _stop(self) -> None:
        if self._search is not None:
            self._search.cancel()
            self._search = None
