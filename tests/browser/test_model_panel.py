"""The Model, Covariates and Error panels in a real JupyterLab: typed into, clicked, and looked at."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SHOW = "import workbench as wb\nbench = wb.Workbench(wb.load_example('{}'))\nbench"
GOOD = "d/dt depot = -ka*depot\nd/dt central = ka*depot - CL/V*central\nC = central/V"
CARET = """() => {
    const pre = document.querySelector('.wb-verdict .wb-fault');
    const [code, caret] = pre.textContent.split('\\n');
    return [code[caret.indexOf('^')], getComputedStyle(pre).fontFamily.includes('mono'), pre.clientHeight];
}"""
AREA = (
    "[...document.querySelectorAll('.bqplot path.area')].find(one => one.getBoundingClientRect().width)"
    "?.getAttribute('d')"
)
OVERLAPS = """() => {
    const boxes = [...document.querySelectorAll('.wb-left input, .wb-left select, .wb-left button')]
        .filter(one => one.offsetParent && getComputedStyle(one).visibility !== 'hidden')
        .map(one => [one.getBoundingClientRect(), one]).filter(([box]) => box.width > 2 && box.height > 2);
    const side = document.querySelector('.wb-body').getBoundingClientRect();
    const name = one => one.getAttribute('aria-label') || one.title || one.textContent;
    const bad = boxes.filter(([box]) => box.right > side.right + 1).map(([, one]) => `sticks out: ${name(one)}`);
    for (const [a, one] of boxes) for (const [b, other] of boxes)
        if (one !== other && !one.contains(other) && !other.contains(one)
            && a.left < b.right - 2 && b.left < a.right - 2 && a.top < b.bottom - 2 && b.top < a.bottom - 2)
            bad.push(`${name(one)} over ${name(other)}`);
    return bad;
}"""


def test_an_ode_is_typed_with_a_fault_and_then_without(notebook):
    page = notebook(SHOW.format("theophylline"))
    page.run()
    page.wait_text("press Fit")
    page.place("Equations")
    page.click("ODE")
    text = page.page.locator(".wb-editor textarea")
    text.wait_for()
    text.fill("")
    text.press_sequentially(GOOD.replace("CL/V*central\n", "CL/V*open(central)\n"), delay=5)
    page.wait_text("there is no function open")
    assert page.page.evaluate(CARET)[:2] == ["o", True]
    expect(page.button("Apply")).to_be_disabled()
    height = page.page.evaluate("document.querySelector('.wb-verdict').clientHeight")
    text.fill(GOOD)
    page.page.get_by_label("Response", exact=True).fill("C")
    page.wait_text("Good to apply")
    page.page.locator(".wb-verdict mjx-container").first.wait_for()
    assert page.page.evaluate("document.querySelector('.wb-verdict').clientHeight") == height  # nothing jumps
    assert page.python("bench.model.structure") == 'wb.pk(compartments=1, absorption="first-order")'
    page.click("Apply")
    page.wait_text("is the structure of the model")
    page.wait_text("press Fit")
    page.click("Fit")
    page.wait_text("Run 1")
    page.wait_text("The fit converged")
    assert page.python("bench.model.structure.names, bench.fit.converged") == "(('ka', 'CL', 'V'), True)"
    assert page.python("round(bench.fit.ofv, 2)") == "103.94"


def test_structure_and_psi_are_clicked(notebook):
    page = notebook(SHOW.format("theophylline"))
    page.run()
    page.wait_text("press Fit")
    page.place("Equations")
    page.page.locator(".wb-equations mjx-container").first.wait_for()
    page.page.locator(".wb-diagram svg").wait_for()
    page.choose("Compartments", "2")
    page.page.locator(".wb-diagram text", has_text="peripheral").wait_for()
    page.choose("Absorption", "first + zero")
    page.becomes("bench.model.structure", 'wb.pk(compartments=2, absorption="parallel")')
    page.page.get_by_text("lag", exact=True).first.click()
    page.becomes("bench.model.structure.lag", "True")
    page.page.get_by_text("bioavailability", exact=True).first.click()
    page.becomes("bench.model.structure.names[-1]", "'F'")
    page.click("more")
    page.page.get_by_label("upper bound of F", exact=True).wait_for()
    page.click("full")
    page.becomes("[len(block.names) for block in bench.model.correlate]", "[9]")
    page.settle()
    assert page.page.evaluate(OVERLAPS) == []
    page.click("diagonal")
    page.page.wait_for_function("() => !document.querySelector('.wb-psi button.mod-active')")
    page.page.locator(".wb-psi button").first.click()
    page.page.wait_for_function("() => document.querySelectorAll('.wb-psi button.mod-active').length === 2")
    page.becomes("[block.names for block in bench.model.correlate]", "[('Fr', 'ka')]")
    page.choose("Compartments", "3")
    page.choose("Parameters", "half-life: t_half")
    page.page.locator(".wb-left .wb-refusal", has_text="half-lives are offered").wait_for()
    assert page.python("bench.model.structure.parameters") == "'clearance'"
    expect(page.field("Parameters")).to_have_value("clearance: CL")


def test_covariates_and_errors_are_chosen(notebook):
    page = notebook(SHOW.format("phenobarbital"))
    page.run()
    page.wait_text("press Fit")
    page.place("Effects")
    page.choose("shape of WT on CL", "power")
    page.choose("shape of APGR on V", "fraction")
    page.type("reference of WT on CL", 1.3)
    page.becomes("[e.term for p in bench.model.parameters for e in p.covariates]", "['log(WT/1.3)', 'C(APGR)']")
    page.click("Allometric")
    page.wait_text("θ 0.75 fixed")
    page.place("Error")
    page.page.wait_for_function(AREA)
    before = page.page.evaluate(AREA)
    page.choose("Error model", "proportional")
    page.type("b", 0.3)
    page.page.wait_for_function(f"before => {AREA} !== before", arg=before)
    page.click("Fit")
    page.wait_text("Run 1")
    page.wait_text("the estimates of run 1")


def test_a_structure_without_controls_is_shown_as_code(notebook):
    page = notebook(
        "import workbench as wb\n"
        "class Odd:\n"
        "    info, names, title, responses, columns, needs_dose = (), (), 'odd <b>one</b>', ('y',), (), False\n"
        "    def equations(self): return []\n"
        "    def diagram(self): return None\n"
        "    def __repr__(self): return 'Odd()'\n"
        "bench = wb.Workbench(wb.load_example('theophylline'))\n"
        "bench",
        "bench.model = wb.Model(Odd(), [])",
    )
    page.run()
    page.place("Equations")
    page.wait_text("Not all of this model has controls here")
    page.page.locator(".wb-card summary >> visible=true").first.click()
    page.wait_text("Odd(),")
    assert page.page.locator(".wb-left b", has_text="one").count() == 0
    page.click("Library")
    page.wait_text("press Fit")
