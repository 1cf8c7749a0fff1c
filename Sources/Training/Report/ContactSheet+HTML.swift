// A contact sheet as a page that needs nothing but itself: no script, no network, fit for a phone.

import GraftImages

extension ContactSheet {
    /// The most classes that have a switch in the legend; all have a line in it.
    private static let switchCount = 60
    /// With more marks per image than this, class names start hidden: they would cover the image.
    private static let wordyMarkCount = 6

    /// Hands over the page, piece by piece: it may be large.
    func html(_ put: (String) throws -> Void) throws {
        try put(head())
        for section in sections {
            if !section.name.isEmpty {
                let heading = heading(section.name, shown: section.entries.count)
                try put("<h2>\(HTML.escaped(heading.name)) <small>\(heading.count)</small></h2>\n")
            }
            try put("<div class=\"sheet\(isCompact ? " small" : "")\">\n")
            for entry in section.entries { try put(figure(entry)) }
            try put("</div>\n")
        }
        try put("</main></body></html>\n")
    }

    private var boxed: [Entry] {
        entries.filter { $0.marks.contains { $0.box != nil || !$0.polygons.isEmpty } }
    }

    private func head() -> String {
        let switches = classes.indices.prefix(Self.switchCount)
        var style = ""
        for index in classes.indices {
            let ink = Image.ink(index)
            style += ".k\(index){--k:rgb(\(ink.red),\(ink.green),\(ink.blue));"
            style += "--t:\(ink.isLight ? "#000" : "#fff")}"
        }
        for index in switches {
            style += "body:has(#s\(index):not(:checked)) .p .k\(index){display:none}"
        }
        let shown = boxed
        let markCount = shown.reduce(0) { $0 + $1.marks.count }
        let isWordy = markCount > Self.wordyMarkCount * max(shown.count, 1)
        var body = "<h1>\(HTML.escaped(title))</h1>\n"
        if !facts.isEmpty {
            body += "<p class=facts>\(facts.map(HTML.escaped).joined(separator: " · "))</p>\n"
        }
        if !findings.isEmpty {
            body += "<details\(findings.count <= 8 ? " open" : "")><summary>\(findings.count) "
            body += "finding\(findings.count == 1 ? "" : "s")</summary><ul>"
            body += findings.map { "<li>\(HTML.escaped($0))</li>" }.joined() + "</ul></details>\n"
        }
        if !shown.isEmpty {
            let counts = shown.flatMap(\.marks).reduce(into: [:]) {
                $0[$1.label, default: 0] += 1
            }
            body += "<div class=legend>"
            for (index, name) in classes.enumerated() {
                let text = "\(HTML.escaped(name)) <small>\(counts[name] ?? 0)</small>"
                body +=
                    index < Self.switchCount
                    ? "<label class=k\(index)><input type=checkbox id=s\(index) checked><i></i>\(text)</label>"
                    : "<span class=k\(index)><i></i>\(text)</span>"
            }
            body += "<label><input type=checkbox id=names\(isWordy ? "" : " checked")>names</label>"
            body += "</div>\n"
        }
        return """
            <!doctype html><html lang=en><head><meta charset=utf-8>
            <meta name=viewport content="width=device-width,initial-scale=1">
            <title>\(HTML.escaped(title))</title><style>
            \(Self.style)\(style)
            </style></head><body><main>
            \(body)
            """
    }

    private func figure(_ entry: Entry) -> String {
        func share(_ value: Double, of whole: Double) -> String {
            let inside = value.isFinite ? min(max(value / whole, -1), 2) : 0
            return HTML.places(inside * 1000, 1)
        }
        var shapes = ""
        var words = ""
        var labels = ""
        for mark in entry.marks {
            let kind = "k\(number(of: mark.label))"
            let score = mark.score.map { " " + HTML.places($0, 2) } ?? ""
            let text = HTML.escaped(mark.label + score)
            let dashes = mark.isDashed ? " stroke-dasharray=\"5 4\"" : ""
            for polygon in mark.polygons {
                let points = stride(from: 0, to: polygon.count - 1, by: 2).map {
                    share(polygon[$0], of: entry.width) + ","
                        + share(polygon[$0 + 1], of: entry.height)
                }
                shapes += "<polygon class=\"\(kind) f\" points=\"\(points.joined(separator: " "))\""
                shapes += "\(dashes)/>"
            }
            guard let box = mark.box else {
                if mark.polygons.isEmpty, mark.label != entry.section {
                    labels += "<b class=\(kind)>\(text)</b>"
                }
                continue
            }
            let (x, y) = (share(box.left, of: entry.width), share(box.top, of: entry.height))
            let wide = share(max(box.right - box.left, 0), of: entry.width)
            let high = share(max(box.bottom - box.top, 0), of: entry.height)
            let look = mark.isHighlighted ? "\"\(kind) h\"" : kind
            shapes += "<rect class=\(look) x=\(x) y=\(y) width=\(wide) height=\"\(high)\"\(dashes)>"
            shapes += "<title>\(text)</title></rect>"
            let left = HTML.places(min(max(box.left / entry.width, 0), 1) * 100, 2)
            let top = HTML.places(min(max(box.top / entry.height, 0), 1) * 100, 2)
            words += "<span class=\(kind) style=\"left:\(left)%;top:\(top)%\">\(text)</span>"
        }
        let ratio = "aspect-ratio:\(HTML.places(entry.width, 0))/\(HTML.places(entry.height, 0))"
        let picture =
            entry.jpeg.isEmpty
            ? "<div class=\"p gone\" style=\"\(ratio)\">not readable</div>"
            : "<div class=p style=\"\(ratio)\"><img alt=\"\" loading=lazy "
                + "src=\"data:image/jpeg;base64,\(HTML.base64(entry.jpeg))\">"
                + (shapes.isEmpty
                    ? ""
                    : "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=none>\(shapes)</svg>")
                + words + "</div>"
        let name = isCompact ? entry.name.split(separator: "/").last.map(String.init) : entry.name
        return
            "<figure title=\"\(HTML.escaped(entry.name))\">\(picture)<figcaption>\(labels)<span>\(HTML.escaped(name ?? ""))</span> "
            + "<small>\(HTML.escaped(entry.caption))</small></figcaption></figure>\n"
    }

    private static let style = """
        *{box-sizing:border-box}body{font:15px/1.45 system-ui,sans-serif;margin:0;background:#fafafa;color:#222}
        main{max-width:1600px;margin:0 auto;padding:12px 14px 40px}h1{font-size:20px;margin:.3em 0}
        h2{font-size:17px;margin:1.4em 0 .4em}.facts{margin:.2em 0;color:#555}small{color:#777;font-weight:normal}
        .legend{position:sticky;top:0;z-index:2;display:flex;flex-wrap:wrap;gap:2px 14px;padding:8px 14px;margin:8px -14px;
        background:#fafafaee;border-bottom:1px solid #ddd;max-height:32vh;overflow:auto}
        .legend label,.legend span{display:inline-flex;align-items:center;gap:5px;padding:3px 0;cursor:pointer}
        .legend input{width:17px;height:17px;margin:0;accent-color:var(--k,#555)}.legend i{width:14px;height:14px;border-radius:3px;background:var(--k)}
        .sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,var(--w,300px)),1fr));gap:12px;align-items:start}
        figure{margin:0;background:#fff;border:1px solid #e2e2e2;border-radius:6px;overflow:hidden}
        .p{position:relative;overflow:hidden;width:100%}.p img,.p svg{position:absolute;inset:0;width:100%;height:100%;display:block}
        .gone{display:flex;align-items:center;justify-content:center;background:#eee;color:#888}
        .p rect,.p polygon{fill:none;stroke:var(--k);stroke-width:2.2;vector-effect:non-scaling-stroke}
        .p rect.h{stroke-width:6}.p polygon.f{fill:var(--k);fill-opacity:.25}.p rect:hover{fill:var(--k);fill-opacity:.25}.p svg{pointer-events:auto}
        .p span{position:absolute;background:var(--k);color:var(--t);font-size:11px;line-height:1.25;padding:0 3px;white-space:nowrap;max-width:100%;pointer-events:none}
        body:has(#names:not(:checked)) .p span{display:none}
        figcaption{padding:5px 8px 7px;font-size:13px;overflow-wrap:anywhere}
        figcaption b{background:var(--k);color:var(--t);border-radius:3px;padding:0 5px;margin-right:4px;font-weight:500}
        .small{--w:min(150px,29vw);gap:8px}.small .p{aspect-ratio:1!important;background:#eee}.small img{object-fit:contain}
        .small figcaption{padding:3px 6px 5px;font-size:11px;max-height:4.6em;overflow:hidden}
        details{margin:.5em 0}summary{cursor:pointer}ul{margin:.4em 0;padding-left:1.3em}li{overflow-wrap:anywhere}
        @media(max-width:520px){main{padding:8px 8px 30px}.legend{margin:6px -8px;padding:6px 8px}}
        @media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}.legend{background:#161616ee;border-color:#444}
        .small .p{background:#2a2a2a}figure{background:#202020;border-color:#383838}small,.facts{color:#999}.gone{background:#2a2a2a}}

        """
}
