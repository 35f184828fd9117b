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
  --jp-widgets-margin: 2px; --jp-widgets-inline-height: 26px; --jp-widgets-horizontal-tab-width: auto;
  container-type: inline-size; font-size: 13px; color: var(--wb-ink); overflow: hidden; padding: 2px 2px 6px;
}
[data-jp-theme-light='false'] .wb {
  --wb-observed: #5aa9e6; --wb-individual: #f28e2b; --wb-population: #b5b5b5;
  --wb-grid: var(--jp-layout-color3); --wb-axis: var(--jp-layout-color3);
  --jp-widgets-dropdown-arrow: url("data:image/svg+xml,ARROW");
}
.wb .widget-html-content { line-height: 1.45; }
.wb .jupyter-widgets { overflow: visible; }

.wb-head { display: flex; flex-flow: row wrap; align-items: center; gap: 4px 10px; padding: 4px 2px; }
.wb-head > .wb-summary { flex: 1 1 220px; min-width: 0; }
.wb-summary b { font-size: 15px; font-weight: 600; margin-right: 8px; }
.wb-summary span { color: var(--wb-soft); white-space: nowrap; }
.wb-actions { display: flex; align-items: center; gap: 6px; flex: 0 0 auto; }
.wb-actions .widget-dropdown { width: 150px; }
.wb-actions button { width: 84px; }
.wb-status { border: 1px solid var(--wb-line); border-left: 4px solid var(--wb-line); border-radius: 3px;
  padding: 2px 10px; min-height: 38px; background: var(--jp-layout-color1); font-variant-numeric: tabular-nums;
  overflow-wrap: anywhere; display: flex; align-items: center; box-sizing: border-box; }
.wb-status.good { border-left-color: #1b9e77; } .wb-status.busy { border-left-color: var(--wb-observed); }
.wb-status.bad { border-left-color: #cc3311; } .wb-status.fair { border-left-color: #e6a700; }
.wb-status pre { margin: 0; font: inherit; white-space: pre-wrap; max-height: 11em; overflow-y: auto; }

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

.wb-parameters { display: grid; grid-template-columns: 116px minmax(40px, 1fr) 20px 62px 20px; gap: 1px 7px;
  align-items: center; }
.wb-parameters > .wb-meaning { grid-column: 1 / -1; margin: 1px 0 5px 38px; }
.wb-parameters .wb-note { white-space: nowrap; }
.wb-parameters .widget-text, .wb-parameters .widget-slider, .wb-parameters .widget-checkbox { width: 100%; margin: 0; }
.wb-parameters .widget-label { font-weight: 600; }
.wb-parameters .widget-checkbox { display: flex; align-items: center; height: 26px; min-height: 0; }
.wb-parameters .wb-meaning .widget-html-content { line-height: 1.2; min-height: 0; height: auto; }
.wb input[type=number] { -moz-appearance: textfield; font-variant-numeric: tabular-nums; }
.wb input[type=number]::-webkit-inner-spin-button { display: none; }
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

.wb-main .jupyter-widget-TabPanel-tabContents { border-color: var(--wb-line); padding: 10px; min-height: 470px; }
.wb-main .lm-TabBar-tab { min-width: 0 !important; flex: 0 1 auto !important; padding: 0 12px; }
.wb-panel { gap: 6px; min-width: 0; }
.wb-legend { display: flex; flex-wrap: wrap; gap: 2px 14px;
  color: var(--wb-soft); font-size: 12px; align-items: center; }
.wb-legend svg { vertical-align: -2px; margin-right: 5px; }
.wb-trellis { display: grid; grid-template-columns: repeat(auto-fill, minmax(max(126px, 15%), 1fr)); gap: 2px 6px; }
.wb .bqplot { min-width: 0; }
.wb .bqplot > svg .plotarea_background { fill: none; }
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
.wb-faults { border-left: 4px solid #cc3311; padding: 4px 10px; background: var(--jp-layout-color2);
  overflow-wrap: anywhere; }
.wb-faults ul { margin: 4px 0 0; padding-left: 18px; max-height: 180px; overflow-y: auto; }
.wb-runs { display: grid; grid-template-columns: max-content max-content; gap: 1px 8px; align-items: center;
  max-height: 440px; overflow: auto; }
.wb-runs .widget-html { margin: 0; }
.wb-run { display: grid; gap: 10px; font-size: 12.5px; font-variant-numeric: tabular-nums; white-space: nowrap;
  grid-template-columns: 66px 48px 62px 62px 18px 78px 128px 50px 82px 240px 120px; }
.wb-run span { overflow: hidden; text-overflow: ellipsis; }
.wb-run span:nth-child(-n+5) { text-align: right; }
.wb .wb-upload { font-size: 0; width: auto; }
.wb .wb-upload i { font-size: 12px; margin-right: 6px; }
.wb .wb-upload::after { content: "Upload a file"; font-size: 13px; }  /* instead of the count of files */
.wb pre.wb-code { background: var(--jp-layout-color2); border: 1px solid var(--wb-line); border-radius: 3px; margin: 0;
  padding: 10px 12px; font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size, 13px); line-height: 1.4;
  color: var(--jp-content-font-color1); overflow-x: auto; user-select: all; white-space: pre; }
""".replace("ARROW", _ARROW)
