"""How the Workbench looks: one style sheet on JupyterLab's own variables, so that it follows the theme."""

_ARROW = (
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 18 18'%3E"
    "%3Cpath fill='%23bbb' d='M5.2 5.9 9 9.7l3.8-3.8 1.2 1.2-4.9 5-5-5z'/%3E%3C/svg%3E"
)
CSS = """
.wb {
  --wb-observed: #2b7bba; --wb-individual: #d95f02; --wb-population: #666;
  --wb-paper: var(--jp-layout-color1); --wb-ink: var(--jp-ui-font-color1); --wb-soft: var(--jp-ui-font-color2);
  --wb-grid: var(--jp-border-color3); --wb-axis: var(--jp-border-color1); --wb-line: var(--jp-border-color2);
  --bq-content-font-color: var(--wb-soft); --bq-mainheading-fill: var(--wb-ink); --bq-axislabel-fill: var(--wb-soft);
  --bq-axis-tick-text-fill: var(--wb-soft);
  --wb-q0: #0072b2; --wb-q1: #e69f00; --wb-q2: #009e73; --wb-q3: #cc79a7; --wb-q4: #56b4e9; --wb-q5: #d55e00;
  --wb-q6: #8c6bb1; --wb-s0: #7fcdbb; --wb-s1: #2fa4c0; --wb-s2: #2c6fb0; --wb-s3: #253494; --wb-bad: #cc3311;
  --wb-h0: #f4f1ee; --wb-h1: #fde6cf; --wb-h2: #fdcc9a; --wb-h3: #fba55c; --wb-h4: #c2480a; --wb-h5: #7f2704;
  --wb-deep: #1a1a1a; --wb-deepest: #fff;
  --jp-widgets-margin: 2px; --jp-widgets-inline-height: 26px; --jp-widgets-horizontal-tab-width: auto;
  container-type: inline-size; font-size: 13px; color: var(--wb-ink); overflow: hidden; padding: 2px 2px 6px;
}
[data-jp-theme-light='false'] .wb {
  --wb-observed: #5aa9e6; --wb-individual: #f28e2b; --wb-population: #b5b5b5;
  --wb-grid: var(--jp-layout-color2); --wb-axis: var(--jp-layout-color3);
  --wb-q0: #4393d5; --wb-s0: #4a6fd0; --wb-s1: #35a7d0; --wb-s2: #6fd3b2; --wb-s3: #edf5a0; --wb-bad: #ee7766;
  --wb-h0: #262321; --wb-h1: #43301f; --wb-h2: #66421f; --wb-h3: #8f5518; --wb-h4: #e08a3c; --wb-h5: #fdc990;
  --wb-deep: #fff; --wb-deepest: #1a1a1a;
  --jp-widgets-dropdown-arrow: url("data:image/svg+xml,ARROW");
}
.wb .widget-html-content { line-height: 1.45; }
.wb .jupyter-widgets { overflow: visible; }

.wb-head { display: flex; flex-flow: row wrap; align-items: center; gap: 4px 10px; padding: 4px 2px; }
.wb-head > .wb-summary { flex: 1 1 220px; min-width: 0; }
.wb-summary b { font-size: 15px; font-weight: 600; margin-right: 8px; }
.wb-summary span { color: var(--wb-soft); white-space: nowrap; }
.wb-actions { display: flex; flex-wrap: wrap; align-items: center; gap: 6px; flex: 0 1 auto; }
.wb-actions .widget-dropdown { width: 172px; }
.wb-actions button { width: 84px; }
.wb-status { border: 1px solid var(--wb-line); border-left: 4px solid var(--wb-line); border-radius: 3px;
  padding: 2px 10px; min-height: 43px; background: var(--jp-layout-color1); font-variant-numeric: tabular-nums;
  display: flex; align-items: center; box-sizing: border-box; }
.wb-status > div { min-width: 0; overflow-wrap: break-word; }
.wb-status.good { border-left-color: #1b9e77; } .wb-status.busy { border-left-color: var(--wb-observed); }
.wb-status.bad { border-left-color: #cc3311; } .wb-status.fair { border-left-color: #e6a700; }
.wb-status > .wb-said { max-height: 11em; overflow-y: auto; white-space: pre-wrap; flex: 1 1 0; }

.wb-columns { display: grid; grid-template-columns: 372px minmax(0, 1fr); gap: 12px;
  margin-top: 6px; align-items: start; }
@container (max-width: 780px) {
  .wb-columns { grid-template-columns: minmax(0, 1fr); } .wb-main { order: -1; }
}
.wb-side { min-width: 0; } .wb-main { min-width: 0; }

.wb-card { border: 1px solid var(--wb-line); border-radius: 4px; padding: 8px 10px 10px; margin-bottom: 10px;
  background: var(--jp-layout-color1); }
.wb h4, .wb-title { font-size: 13px; font-weight: 600; margin: 0 0 4px; color: var(--wb-ink); }
.wb-note { color: var(--wb-soft); font-size: 12px; }
.wb-row { display: flex; flex-flow: row wrap; align-items: center; gap: 4px 8px; }
.wb-spread { justify-content: space-between; }

.wb-parameters { display: grid; grid-template-columns: max-content minmax(40px, 1fr) 20px 62px 20px; gap: 1px 7px;
  align-items: center; }
.wb-parameters > .wb-first { grid-column: 1; }
.wb-parameters > .wb-meaning { grid-column: 1 / 3; margin: 1px 0 5px 38px; min-width: 0; align-self: start; }
.wb-parameters > .wb-meaning.wb-wide { grid-column: 1 / -1; }
.wb-parameters > .wb-more { grid-column: 1 / -1; margin: 0 0 6px 36px; gap: 5px; align-items: center; }
.wb-parameters > .wb-more .widget-dropdown { width: 74px; }
.wb-parameters > .wb-more .widget-text { width: 62px; }
.wb-parameters > .wb-more .widget-checkbox { width: auto; height: 24px; font-size: 12px; }
.wb-parameters > .wb-note:not(.wb-meaning) { white-space: nowrap; }
.wb-parameters .widget-text, .wb-parameters .widget-slider, .wb-parameters .widget-checkbox { margin: 0; }
.wb-parameters > .widget-text:not(.wb-first), .wb-parameters > .widget-slider,
.wb-parameters > .widget-checkbox { width: 100%; }
.wb-parameters .widget-label { font-weight: 600; }
.wb-parameters .widget-checkbox { display: flex; align-items: center; height: 26px; min-height: 0; }
.wb-parameters .wb-meaning .widget-html-content { line-height: 1.2; min-height: 0; height: auto; }
.wb input[type=number] { -moz-appearance: textfield; font-variant-numeric: tabular-nums; }
.wb input[type=number]::-webkit-inner-spin-button { display: none; }
.wb .wb-unknown input { color: transparent !important; }
.wb .wb-quiet > .widget-label, .wb .wb-quiet > .widget-label-basic > span {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.wb .widget-checkbox .widget-label-basic { display: flex; align-items: center; }
.wb .wb-switch { display: flex; flex-flow: row nowrap; align-items: center; width: auto; gap: 6px; }
.wb .wb-switch > .widget-label { width: auto; margin: 0; color: var(--wb-soft); font-size: 12px; }
.wb .wb-switch .widget-toggle-buttons, .wb .wb-switch .widget-inline-hbox { display: flex; }
.wb .wb-switch button { height: 23px; line-height: 21px; padding: 0 9px; margin: 0; font-size: 12px;
  box-shadow: none; }
.wb .wb-switch button.mod-active { background: var(--jp-layout-color3); }
.wb .wb-toggle { box-shadow: none !important; width: auto; min-width: 0; padding: 0 9px; height: 24px;
  line-height: 22px; }
.wb .wb-refusal { margin: 4px 0; padding: 3px 8px; border-left: 4px solid var(--wb-bad); font-size: 12px;
  line-height: 1.35; background: var(--jp-layout-color2); color: var(--wb-ink);
  overflow-wrap: break-word; min-width: 0; }
.wb .wb-fault { font-family: var(--jp-code-font-family); font-size: 12px; white-space: pre; margin: 2px 0;
  color: inherit; overflow-x: auto; max-height: none; line-height: 1.3; }
.wb-choices { display: grid; grid-template-columns: 228px minmax(0, 1fr); gap: 1px 6px; align-items: center; }
.wb .wb-choices.wb-one { grid-template-columns: minmax(0, 1fr); }
.wb-choices > * { margin: 0; min-width: 0; }
.wb-choices .widget-dropdown, .wb-choices .widget-text { width: 100%; margin: 1px 0; }
.wb-choices .widget-checkbox { width: auto; height: 26px; }
.wb-card .wb-row > .widget-html { flex: 0 1 auto; }
.wb-editor, .wb-editor textarea { width: 100%; font-family: var(--jp-code-font-family); font-size: 12px; }
.wb .wb-editor { height: auto; }
.wb .wb-editor textarea { white-space: pre; overflow-x: auto; line-height: 1.4; }
.wb-editor ~ .widget-text { width: auto; }
.wb .wb-verdict { height: 128px; overflow-y: auto; font-size: 12px; border-bottom: 1px solid var(--wb-line);
  margin-bottom: 6px; }
.wb-verdict .widget-html-content { width: 100%; min-width: 0; line-height: 1.35; }
.wb-verdict .wb-refusal { max-width: 100%; box-sizing: border-box; }
.wb-verdict .wb-equations { font-size: 11.5px; }
.wb .wb-psi { display: grid; gap: 2px; align-items: center; }
.wb-psi > * { margin: 0; width: auto; min-width: 0; }
.wb-psi > button { height: 24px; line-height: 22px; padding: 0 2px; font-size: 11.5px; box-shadow: none !important;
  font-variant-numeric: tabular-nums; background: var(--jp-layout-color1); border: 1px solid var(--wb-line);
  color: var(--wb-soft); border-radius: 2px; }
.wb-psi > button.mod-active { color: var(--wb-ink); border-color: var(--wb-observed);
  background: color-mix(in srgb, var(--wb-observed) 24%, var(--wb-paper)); }
.wb-psi .widget-html-content { line-height: 22px; font-size: 12px; }
.wb-psi-head, .wb-sd { text-align: center; overflow: hidden; text-overflow: ellipsis; }
.wb-psi-head, .wb-psi-side { font-weight: 600; } .wb-psi-side { text-align: right; padding-right: 4px; }
.wb-sd { border: 1px solid var(--wb-line); border-radius: 2px; background: var(--jp-layout-color2);
  font-variant-numeric: tabular-nums; }
.wb-part { align-items: center; gap: 3px; margin: 0 8px 0 0; }
.wb-part > * { margin: 0; }
.wb-part .widget-checkbox { width: auto; margin-left: 3px; }
.wb-card summary { cursor: pointer; }
.wb-card details pre { max-height: 220px; overflow: auto; margin-top: 4px; }
.wb .wb-effects { display: grid; gap: 6px 8px; align-items: start; overflow-x: auto; padding-bottom: 4px; }
.wb-effects > * { margin: 0; min-width: 0; }
.wb-effects .widget-html-content { line-height: 26px; font-weight: 600; }
.wb .wb-effects > .wb-effect-side { position: sticky; left: 0; z-index: 1; background: var(--wb-paper);
  align-self: stretch; height: auto; box-shadow: 5px 0 0 var(--wb-paper); }
.wb-effect .widget-dropdown, .wb-effect .widget-text { width: 100%; margin: 0; }
.wb-effect .widget-text { flex: 0 0 62px; width: 62px; }
.wb-effect .widget-html-content { font-weight: 400; font-size: 11.5px; white-space: nowrap; }
.wb-effect:not(.wb-on) select { color: var(--wb-soft); }
.wb-formulas { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 2px 12px; }
.wb-formulas .widget-text { width: auto; }
.wb-diagram { color: var(--wb-ink); overflow-x: auto; }
.wb-diagram svg { display: block; }
.wb-mathematics { display: flex; flex-flow: row wrap; gap: 4px 28px; }
.wb-mathematics > * { flex: 0 1 auto; min-width: 0; max-width: 100%; }
.wb .wb-equations { overflow-x: auto; overflow-y: hidden; color: var(--wb-ink); height: auto; max-width: 100%; }
.wb-equations mjx-container[display='true'] { text-align: left !important; margin: 4px 0 !important; }

.wb-main .jupyter-widget-TabPanel-tabContents { border-color: var(--wb-line); padding: 10px; min-height: 470px; }
.wb-main .lm-TabBar-tab { min-width: 0 !important; flex: 0 0 auto !important; padding: 0 7px !important; }
.wb-main .lm-TabBar-tabLabel { overflow: visible; }
.wb-main .lm-TabBar-content { flex-wrap: wrap; }
.wb-panel { gap: 6px; min-width: 0; }
.wb-legend { display: flex; flex-wrap: wrap; gap: 2px 14px;
  color: var(--wb-soft); font-size: 12px; align-items: center; }
.wb-legend svg { vertical-align: -2px; margin-right: 5px; }
.wb-trellis { display: grid; grid-template-columns: repeat(auto-fill, minmax(max(126px, 15%), 1fr)); gap: 2px 6px; }
.wb .bqplot { min-width: 0; }
.wb .bqplot > svg .plotarea_background { fill: none; }
.wb-trellis path.line[style*="10, 10"] { stroke-dasharray: 4 3 !important; }
.wb .bqplot > svg .axis .tick text { display: none; }
.wb .bqplot > svg .axis path { stroke: none !important; }
.wb .bqplot > svg .axis text.axislabel { font-size: 12px; fill: var(--wb-soft) !important; }

.wb table.wb-table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; margin: 0; }
.wb table.wb-table th { text-align: right; font-weight: 600; color: var(--wb-soft); padding: 2px 10px 3px 0;
  border-bottom: 1px solid var(--wb-line); white-space: nowrap; }
.wb table.wb-table td { text-align: right; padding: 2px 10px 2px 0; white-space: nowrap; max-width: 260px;
  overflow: hidden; text-overflow: ellipsis; }
.wb table.wb-table th:first-child, .wb table.wb-table td:first-child { text-align: left; }
.wb table.wb-table tbody tr:hover { background: var(--jp-layout-color2); }
.wb-scroll { overflow-x: auto; }
.wb .wb-two-lines { min-height: 36px; }
.wb-faults { border-left: 4px solid #cc3311; padding: 4px 10px; background: var(--jp-layout-color2);
  overflow-wrap: anywhere; }
.wb-faults ul { margin: 4px 0 0; padding-left: 18px; max-height: 180px; overflow-y: auto; }
.wb-runs { display: grid; grid-template-columns: max-content max-content; gap: 1px 8px; align-items: center;
  max-height: 440px; overflow: auto; }
.wb-runs .widget-html { margin: 0; }
.wb-run { display: grid; gap: 9px; font-size: 12.5px; font-variant-numeric: tabular-nums; white-space: nowrap;
  grid-template-columns: 60px 44px 54px 54px 16px 70px 112px 44px 76px 236px 120px; }
.wb-run span { overflow: hidden; text-overflow: ellipsis; }
.wb-run span:nth-child(-n+5) { text-align: right; }
.wb .wb-upload { font-size: 0; width: auto; }
.wb .wb-upload i { font-size: 12px; margin-right: 6px; }
.wb .wb-upload::after { content: "Upload a file"; font-size: 13px; }  /* instead of the count of files */
.wb .wb-example { flex: 1 1 180px; max-width: 440px; width: auto; min-width: 0; }
.wb .wb-example select { min-width: 0; text-overflow: ellipsis; }
.wb-drop { color: var(--wb-soft); font-size: 12px; animation: wb-there 1ms; white-space: nowrap; margin-right: 6px; }
@keyframes wb-there { from { opacity: 0.99; } }
.wb-dropping { outline: 2px dashed var(--wb-observed); outline-offset: 4px; }
.wb-body { min-height: 400px; flex-flow: column; }
.wb-body > * { min-width: 0; width: auto; max-width: 100%; }
.wb-body .widget-html-content { min-width: 0; flex: 1 1 0; }
.wb-body .wb-scroll { max-height: 380px; overflow: auto; }
.wb-body .wb-scroll thead th { position: sticky; top: 0; background: var(--wb-paper); }
.wb .wb-findings { display: grid; grid-template-columns: minmax(0, 1fr) max-content; gap: 2px 8px;
  align-items: center; max-height: 176px; overflow-y: auto; border: 1px solid var(--wb-line); border-radius: 3px;
  padding: 2px 6px; }
.wb-findings > * { margin: 0; }
.wb-findings > .wb-wide { grid-column: 1 / -1; }
.wb-findings .wb-row { flex-flow: column; align-items: stretch; gap: 2px; }
.wb .wb-findings button { max-width: 190px; height: auto; padding: 4px 8px; line-height: 1.25; white-space: normal; }
.wb-findings-head > .widget-html { flex: 1 1 120px; min-width: 0; }
.wb-finding { line-height: 1.35; overflow-wrap: anywhere; border-left: 4px solid #e6a700; padding: 2px 0 2px 8px; }
.wb-finding.error { border-left-color: var(--wb-bad); }
.wb-finding.error > b { color: var(--wb-bad); }
.wb-finding > b { font-weight: 600; font-size: 12px; margin-right: 4px; }
.wb-locked { position: relative; }
.wb-locked * { visibility: hidden !important; }
.wb-locked::before { content: "Locked until no error is left in the data: see the Data panel."; position: absolute;
  inset: 0; padding: 16px; color: var(--wb-soft); }
.wb-cut { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.wb .wb-columns-grid { display: grid; align-items: center; gap: 1px 10px; max-height: 380px; overflow-y: auto;
  grid-template-columns: fit-content(140px) 122px 84px minmax(0, 1fr); }
.wb-columns-grid .wb-note { white-space: nowrap; }
.wb-columns-grid .widget-dropdown, .wb-columns-grid .widget-text { width: 100%; margin: 1px 0; }
.wb-cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px 16px;
  max-height: 300px; overflow-y: auto; padding-bottom: 4px; }
.wb-chart { min-width: 0; line-height: 1.35; }
.wb-chart > div:first-child { display: flex; gap: 6px; white-space: nowrap; }
.wb-chart b { font-weight: 600; }
.wb-chart svg { display: block; width: 100%; height: 46px; border-bottom: 1px solid var(--wb-axis); }
.wb-chart rect, .wb-chart u { fill: var(--wb-observed); background: var(--wb-observed); }
.wb-bars { display: grid; grid-template-columns: minmax(0, max-content) minmax(30px, 1fr) max-content; gap: 0 6px;
  align-items: center; font-size: 12px; line-height: 15px; min-height: 46px; align-content: start; }
.wb-bars .wb-cut { max-width: 80px; }
.wb-bars u { display: block; height: 9px; }
.wb-panel > .widget-html, .wb-panel > .widget-html > .widget-html-content { min-width: 0; max-width: 100%; }
.wb-profiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(205px, 1fr)); gap: 10px 16px; }
.wb-profiles > div { font-size: 12px; line-height: 1.3; color: var(--wb-soft); }
.wb-profiles svg { width: 100%; height: auto; overflow: visible; font-size: 17px; }
.wb-panel code { font-family: var(--jp-code-font-family); font-size: 12px; white-space: pre-wrap; }
.wb-sparks { display: grid; grid-template-columns: repeat(auto-fill, minmax(118px, 1fr)); gap: 6px 14px; }
.wb-sparks > div { min-width: 0; font-size: 12px; }
.wb-sparks > div > div { display: flex; justify-content: space-between; gap: 6px; white-space: nowrap; }
.wb-sparks b { font-weight: 600; font-variant-numeric: tabular-nums; }
.wb-sparks svg { display: block; width: 100%; height: 34px; border-bottom: 1px solid var(--wb-axis); }
.wb-sparks path { fill: none; stroke: var(--wb-individual); stroke-width: 1.5; }
.wb .wb-heat { display: grid; gap: 2px; align-items: center; overflow-x: auto; padding: 1px 1px 4px 0; }
.wb-heat > * { margin: 0; min-width: 0; width: auto; }
.wb-heat .widget-html-content { min-width: 0; flex: 1 1 0; line-height: 26px; font-weight: 600; font-size: 12px; }
.wb-heat-head .widget-html-content { text-align: center; padding: 0 3px; }
.wb-heat-head .widget-html-content > div { line-height: 13px; max-height: 26px; overflow: hidden;
  overflow-wrap: anywhere; }
.wb .wb-heat > .wb-heat-side, .wb .wb-heat > .wb-heat-corner { position: sticky; left: 0; z-index: 1;
  background: var(--wb-paper); align-self: stretch; height: auto;
  box-shadow: 2px 0 0 var(--wb-paper), -3px 0 0 var(--wb-paper); }
.wb-heat-side i { font-style: normal; font-weight: 400; color: var(--wb-soft); margin-left: 4px; }
.wb .wb-heat > button { height: 28px; line-height: 26px; padding: 0 2px; font-size: 12px; box-shadow: none !important;
  font-variant-numeric: tabular-nums; white-space: pre; overflow: hidden; border-radius: 2px; display: block;
  border: 1px solid transparent; text-align: center; }
.wb .wb-heat > button:hover { filter: brightness(1.06); }
.wb .wb-heat > button.wb-chosen { outline: 2px solid var(--wb-observed); outline-offset: -2px; }
.wb .wb-heat > button:focus-visible { outline: 2px solid var(--wb-ink); outline-offset: -1px; }
.wb .wb-p0 { background: var(--wb-h0); color: var(--wb-ink); }
.wb .wb-p1 { background: var(--wb-h1); color: var(--wb-ink); }
.wb .wb-p2 { background: var(--wb-h2); color: var(--wb-ink); }
.wb .wb-p3 { background: var(--wb-h3); color: var(--wb-deep); }
.wb .wb-p4 { background: var(--wb-h4); color: var(--wb-deepest); }
.wb .wb-p5 { background: var(--wb-h5); color: var(--wb-deepest); }
.wb .wb-none { background: var(--jp-layout-color2); color: var(--wb-soft); }
.wb-heat-legend { display: flex; flex-flow: row wrap; gap: 3px 2px; align-items: center; font-size: 11.5px; }
.wb-heat-legend span { padding: 0 7px; line-height: 18px; border-radius: 2px; }
.wb-heat-legend i { font-style: normal; color: var(--wb-soft); margin-left: 12px; }
.wb-stale .wb-heat, .wb-stale .bqplot, .wb-stale .wb-scroll { opacity: 0.5; transition: opacity 0.3s 0.4s; }
.wb-tight p { margin: 2px 0 !important; }
.wb .wb-tight table.wb-table th, .wb .wb-tight table.wb-table td { padding-right: 8px; }
.wb-outcome .widget-html-content { min-height: 20px; }
.wb .wb-log .wb-scroll { max-height: 300px; overflow: auto; }
.wb .wb-log thead th { position: sticky; top: 0; background: var(--wb-paper); }
.wb-log table.wb-table td:nth-child(2), .wb-log table.wb-table th:nth-child(2) { text-align: left; }
.wb-forest { display: grid; grid-template-columns: fit-content(190px) fit-content(150px) minmax(120px, 1fr) max-content;
  gap: 0 12px; align-items: center; font-size: 12.5px; font-variant-numeric: tabular-nums; max-width: 860px; }
.wb-forest b { font-weight: 600; } .wb-forest span { white-space: nowrap; }
.wb-forest svg { width: 100%; height: 24px; display: block; overflow: visible; }
.wb-forest rect { fill: var(--wb-observed); opacity: 0.13; }
.wb-forest line { stroke: var(--wb-population); stroke-width: 2; }
.wb-forest circle { fill: var(--wb-population); }
.wb-forest .wb-outside line { stroke: var(--wb-individual); }
.wb-forest .wb-outside circle { fill: var(--wb-individual); }
.wb-forest .wb-inside line { stroke: var(--wb-q2); } .wb-forest .wb-inside circle { fill: var(--wb-q2); }
.wb-forest svg line.wb-one { stroke: var(--wb-axis); stroke-width: 1; }
.wb-forest .wb-scale line { stroke: var(--wb-axis); stroke-width: 1; }
.wb-forest .wb-scale { border-top: 1px solid var(--wb-axis); }
.wb-forest .wb-scale text { text-anchor: middle; font-size: 11px; fill: var(--wb-soft); }
.wb pre.wb-code { background: var(--jp-layout-color2); border: 1px solid var(--wb-line); border-radius: 3px; margin: 0;
  padding: 10px 12px; font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size, 13px); line-height: 1.4;
  color: var(--jp-content-font-color1); overflow-x: auto; user-select: all; white-space: pre; }
""".replace("ARROW", _ARROW)
