// Pieces of a page that needs nothing but itself: text, tables and pictures; `Plot.swift` has the curves.

import GraftImages

/// HTML as text, everything from outside escaped.
enum HTML {
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }

    static func table(_ headings: [String], _ rows: [[String]], kind: String? = nil) -> String {
        let head = headings.map { "<th>\(escaped($0))</th>" }.joined()
        let body = rows.map { row in
            "<tr>" + row.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
        }.joined(separator: "\n")
        let named = headings.contains { !$0.isEmpty }
        return "<table\(kind.map { " class=\($0)" } ?? "")>" + (named ? "<tr>\(head)</tr>" : "")
            + "\n\(body)</table>\n"
    }

    /// Counts, darker where there are more; the diagonal in another hue.
    static func matrix(_ confusion: ConfusionMatrix, _ classes: [String]) -> String {
        var text = "<table class=matrix><tr><th></th>"
        text += classes.map { "<th><span>\(escaped($0))</span></th>" }.joined() + "</tr>\n"
        for (truth, row) in confusion.rows.enumerated() {
            let total = Double(max(row.reduce(0, +), 1))
            text += "<tr><th>\(escaped(classes[truth]))</th>"
            for (column, count) in row.enumerated() {
                let share = places(Double(count) / total, 2)
                let hue = column == truth ? "46,125,50" : "198,40,40"
                let ink = Double(count) / total > 0.5 ? ";color:#fff" : ""
                text +=
                    "<td style=\"background:rgba(\(hue),\(share))\(ink)\">\(count == 0 ? "" : "\(count)")</td>"
            }
            text += "</tr>\n"
        }
        return text + "</table>"
    }

    /// A picture as part of the page.
    static func image(_ image: Image, _ words: String) throws -> String {
        "<img alt=\"\(escaped(words))\" src=\"data:image/png;base64,\(base64(try image.png()))\">"
    }

    static func page(_ title: String, _ body: String) -> String {
        """
        <!doctype html><html lang=en><head><meta charset=utf-8><title>\(escaped(title))</title><style>
        body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;color:#222}
        table{border-collapse:collapse;margin:.5em 0}td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}
        td:first-child,th:first-child{text-align:left}.matrix td{text-align:center;min-width:2.2em;border:1px solid #eee}
        .matrix tr:first-child th span{writing-mode:vertical-rl;transform:rotate(180deg)}
        .facts td{text-align:left;overflow-wrap:anywhere}.matrix th{font-weight:normal}
        figure{display:inline-block;margin:.4em;max-width:540px;vertical-align:top}figcaption{font-size:13px}
        .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:1.2em}
        .card{margin:0;max-width:none}.card img{width:49%;max-width:160px;margin-right:1%}
        small{color:#777;overflow-wrap:anywhere}summary{cursor:pointer}
        svg{width:520px;max-width:100%;font-size:12px}polyline{fill:none;stroke-width:2}
        .grid{stroke:#e4e4e4}.mark{stroke:#999;stroke-dasharray:4 3}.square{width:340px}
        .failed{background:#fdecea;border-left:4px solid #c62828;padding:.6em .8em}
        pre{background:#f5f5f5;padding:.8em;overflow-x:auto;white-space:pre-wrap}
        @media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}pre{background:#222}td,th{border-color:#444}.matrix td{border-color:#333}.grid{stroke:#333}.failed{background:#3a1c1c}svg text{fill:#ccc}}
        </style></head><body>
        \(body)
        </body></html>

        """
    }

    /// A number with a fixed count of decimals.
    static func places(_ value: Double, _ count: Int) -> String {
        guard value.isFinite, abs(value) < 1e9 else { return "\(Float(value))" }
        var scale = 1.0
        for _ in 0..<count { scale *= 10 }
        let digits = String(Int((abs(value) * scale).rounded()))
        let padded = String(repeating: "0", count: max(0, count + 1 - digits.count)) + digits
        let point = padded.index(padded.endIndex, offsetBy: -count)
        let sign = value < 0 && padded.contains(where: { $0 != "0" }) ? "-" : ""
        return sign + padded[..<point] + (count > 0 ? "." + padded[point...] : "")
    }

    static func base64(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word: UInt32 = 0
            for place in 0..<3 {
                word = word << 8 | (start + place < bytes.count ? UInt32(bytes[start + place]) : 0)
            }
            for place in 0..<4 {
                text.append(
                    place <= group.count
                        ? digits[Int(word >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
