"""The Data panel in a real JupyterLab: files are chosen and dropped; what is in them stays text."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SHOW = "import workbench as wb\nbench = wb.Workbench(wb.load_example('theophylline'))\nbench"
SCRIPT, IMAGE = "<script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>"
VIEWS = ("plot", "subjects", "rows", "covariates", "NCA", "columns & units")
TABS = (
    "Equations",
    "Effects",
    "Typical curves",
    "Error",
    "Individual fits",
    "Uncertainty",
    "Estimates",
    "Diagnose",
    "Screening",
    "Runs",
    "Simulate",
    "Code",
)
FAULTY = "ID,TIME,DV,AMT\n" + "".join(f"{i},0,.,4\n{i},1,3.{i},.\n{i},4,1.{i},.\n" for i in range(1, 5)) + "5,1,2,.\n"
DROP = """([name, text]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], name, {type: 'text/csv'}));
    const at = [...document.querySelectorAll('.wb-look')].find(body => body.offsetParent);
    const tell = kind => {
        const event = new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true});
        at.dispatchEvent(event);
        return event.defaultPrevented;
    };
    return [tell('dragover'), at.closest('.wb-panel').matches('.wb-dropping'), tell('drop')];
}"""


def hostile_table() -> str:
    """Headers, subjects, and levels that are markup, quotes, and two lines."""
    quoted = [f'"{text}"' for text in (SCRIPT, IMAGE, "it's", 'say ""so""', "two\nlines")]
    lines = [",".join(["ID", "TIME", "DV", "AMT", *quoted])]
    for number, subject in enumerate((SCRIPT, IMAGE, "it's", 'say ""so""')):
        extra = f"{10.5 + number},{quoted[number]},{quoted[1 - number % 2]},{number},{20.5 + number}"
        lines += [
            f'"{subject}{number}",{t},{dv},{amt},{extra}' for t, dv, amt in ((0, ".", 9), (1, 4, "."), (2, 3, "."))
        ]
    return "\n".join(lines) + "\n"


def test_what_is_hostile_is_text_in_every_panel(notebook, tmp_path):
    file = tmp_path / (SCRIPT.replace("/", "") + IMAGE + "'\".csv")
    file.write_text(hostile_table())
    page = notebook(SHOW)
    page.run()
    page.place("Data")
    page.upload(file)
    page.wait_text("4 subjects")
    for view in VIEWS:
        page.click(view)
        page.settle()
    page.page.locator(".wb-columns-grid code", has_text=IMAGE).wait_for()
    page.click("plot")
    for name in (SCRIPT, IMAGE):
        page.choose("Colour by", name[:40])
        page.page.locator(".wb-look .wb-legend svg").nth(1).wait_for()
    page.page.locator(".wb-legend", has_text=SCRIPT).wait_for()
    page.click("Fit")
    page.page.wait_for_function("() => !/Fitting|Compiling/.test(document.querySelector('.wb-status').textContent)")
    for tab in TABS:
        page.place(tab)
        page.settle()
    file.write_text(hostile_table().replace(",1,4,", ",one,four,"))
    page.place("Data")
    page.upload(file)
    page.wait_text("was not taken")
    assert page.page.evaluate("window.hacked") is None
    assert page.page.locator(".wb img, .wb script").count() == 0
    assert page.python("bench.data.name") == repr(file.name)


def test_a_file_is_dropped_and_its_errors_lock_until_they_are_mended(notebook):
    page = notebook(SHOW)
    page.run()
    page.wait_text("press Fit")
    page.place("Data")
    page.page.wait_for_function("() => [...document.querySelectorAll('.wb-panel')].some(panel => panel.wbDrop)")
    assert page.page.evaluate(DROP, ["dropped.csv", FAULTY]) == [True, True, True]
    page.wait_text("dropped.csv has 1 error")
    assert page.page.locator(".wb-dropping").count() == 0
    expect(page.button("Fit")).to_be_disabled()
    page.place("Equations")
    page.page.locator(".wb-parameters input").first.wait_for(state="hidden")
    page.place("Data")
    assert page.python("bench.data.name") == "'theophylline'"
    page.click("leave these subjects out")
    page.wait_text("4 subjects")
    page.place("Equations")
    page.page.locator(".wb-parameters input >> visible=true").first.wait_for()
    expect(page.button("Fit")).to_be_enabled()
    page.place("Code")
    page.wait_text(".mend('drop_subjects_without_dose')")
    page.place("Data")
    page.settle()
    assert page.page.evaluate(DROP, ["dropped.csv", FAULTY])[2]  # the same file again
    page.wait_text("dropped.csv has 1 error")


def test_units_and_roles_are_typed_and_chosen(notebook, tmp_path):
    file = tmp_path / "sound.csv"
    file.write_text(FAULTY.removesuffix("5,1,2,.\n"))
    page = notebook(SHOW)
    page.run()
    page.place("Data")
    page.upload(file)
    page.wait_text("4 subjects")
    page.click("columns & units")
    row = page.page.locator(".wb-columns-grid input:visible")
    row.nth(0).fill("h")
    row.nth(0).press("Enter")
    page.becomes("bench.data.units", "{'time': 'h'}")
    row.nth(1).fill("no such unit")
    row.nth(1).press("Enter")
    page.wait_text("is not known")
    expect(row.nth(1)).to_have_value("")
    page.page.locator(".wb-columns-grid select:visible").nth(3).select_option(label="ignore")
    page.becomes(
        "bench.data.code()",
        "\"wb.read_data('sound.csv', roles={'ignore': ('AMT',)}).with_units(time='h')\"",
    )
