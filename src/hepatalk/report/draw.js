// Draws the charts that the page holds as JSON.
const charts = JSON.parse(document.getElementById("charts").textContent);
// The buttons are listed, since plotly's own list holds one that sends the figure away.
const options = {displaylogo: false, responsive: true, showSendToCloud: false, toImageButtonOptions: {format: "svg"},
                 modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]]};
const inSpace = {...options, modeBarButtons: [["toImage", "orbitRotation", "pan3d", "zoom3d", "resetCameraDefault3d"]]};
for (const [name, chart] of Object.entries(charts)) {
  Plotly.newPlot("chart-" + name, chart.data, chart.layout, chart.layout.scene ? inSpace : options);
}
