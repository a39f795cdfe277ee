/// How a drawn plan looks, by light and by dark.
enum SVGStyle {
    static let css = """
        text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
        .name { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; \
        font-size: 13px; }
        .cell .name { font-size: 11px; }
        .cell .size { font-size: 10.5px; }
        .title { font-size: 20px; font-weight: 650; }
        .totals, .detail, .legend, .size { font-size: 12px; }
        .heading { font-size: 10.5px; font-weight: 700; letter-spacing: 0.6px; }
        .box-title { font-size: 13px; font-weight: 650; }
        .edge { fill: none; stroke-width: 1.6; }
        .check { fill: none; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
        .cached .name, .cached .size, .cached .detail { opacity: 0.7; }
        .paper { fill: #ffffff; stroke: #e3e7ee; }
        .title, .name, .box-title { fill: #1b2436; }
        .totals, .detail, .legend, .size { fill: #5d687c; }
        .edge { stroke: #a8b2c4; }
        .joint, .head { fill: #8793a8; }
        .box { fill: #f7f9fc; stroke: #dde3ec; }
        .source .plate { fill: #eaf1ff; stroke: #9dbaf0; }
        .transfer .plate { fill: #fff6e3; stroke: #e9c27a; }
        .commit .plate { fill: #e6f7ee; stroke: #8bceab; }
        .source .heading { fill: #2c5cc0; }
        .transfer .heading { fill: #92600a; }
        .commit .heading { fill: #1c7a4a; }
        .hatch { stroke: #8a7a58; stroke-opacity: 0.2; }
        .check { stroke: #1c8a52; }
        @media (prefers-color-scheme: dark) {
        .paper { fill: #10151f; stroke: #262f3f; }
        .title, .name, .box-title { fill: #e8edf6; }
        .totals, .detail, .legend, .size { fill: #9aa6ba; }
        .edge { stroke: #4b576b; }
        .joint, .head { fill: #76839a; }
        .box { fill: #161d2a; stroke: #2a3446; }
        .source .plate { fill: #17233d; stroke: #35518b; }
        .transfer .plate { fill: #2b2313; stroke: #77592a; }
        .commit .plate { fill: #122a1f; stroke: #2c6b4a; }
        .source .heading { fill: #8fb4ff; }
        .transfer .heading { fill: #f0bf66; }
        .commit .heading { fill: #6fd6a0; }
        .hatch { stroke: #ffffff; stroke-opacity: 0.09; }
        .check { stroke: #5fd394; }
        }
        """

    static let definitions = """
        <defs>
        <marker id="head" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="8" markerHeight="8" \
        markerUnits="userSpaceOnUse" orient="auto"><path class="head" d="M0 0.5L8 4L0 7.5Z"/></marker>
        <pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
        <path class="hatch" d="M3.5 0V7" stroke-width="2"/></pattern>
        </defs>
        """
}
