// Pieces of a page that needs nothing but itself: text, tables, curves and pictures.

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

    static func table(_ headings: [String], _ rows: [[String]]) -> String {
        let head = headings.map { "<th>\(escaped($0))</th>" }.joined()
        let body = rows.map { row in
            "<tr>" + row.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
        }.joined(separator: "\n")
        return "<table><tr>\(head)</tr>\n\(body)</table>"
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
                text +=
                    "<td style=\"background:rgba(\(hue),\(share))\">\(count == 0 ? "" : "\(count)")</td>"
            }
            text += "</tr>\n"
        }
        return text + "</table>"
    }

    /// Lines over the epochs, with a scale and a legend.
    static func curves(_ title: String, _ lines: [(name: String, values: [Double?])]) -> String {
        let values = lines.flatMap { $0.values.compactMap(\.self) }.filter(\.isFinite)
        guard let low = values.min(), let high = values.max() else { return "" }
        let (width, height, left) = (460.0, 200.0, 48.0)
        let span = max(high - low, 1e-9)
        let colors = ["#1565c0", "#ef6c00", "#2e7d32"]
        var text = "<figure><figcaption>\(escaped(title))</figcaption>"
        text += "<svg viewBox=\"0 0 \(Int(width + left + 12)) \(Int(height + 44))\">"
        for tick in 0...4 {
            let y = 8 + height - height * Double(tick) / 4
            let value = places(low + span * Double(tick) / 4, 3)
            text +=
                "<line class=grid x1=\(left) x2=\(left + width) y1=\(y) y2=\(y) />"
                + "<text x=\(left - 6) y=\(y + 4) text-anchor=end>\(value)</text>"
        }
        for (index, line) in lines.enumerated() {
            let steps = Double(max(line.values.count - 1, 1))
            let points = line.values.enumerated().compactMap { at, value -> String? in
                guard let value, value.isFinite else { return nil }
                let x = left + width * Double(at) / steps
                let y = 8 + height - height * (value - low) / span
                return "\(places(x, 1)),\(places(y, 1))"
            }
            let color = colors[index % colors.count]
            text += "<polyline stroke=\"\(color)\" points=\"\(points.joined(separator: " "))\" />"
            if points.count == 1, let point = points.first {
                let place = point.split(separator: ",")
                text += "<circle cx=\(place[0]) cy=\(place[1]) r=3 fill=\"\(color)\" />"
            }
            text +=
                "<text x=\(left + 120 * Double(index)) y=\(height + 36) fill=\"\(color)\">"
                + "\(escaped(line.name))</text>"
        }
        return text + "</svg></figure>"
    }

    /// Answers over the truth, and the line on which they agree.
    static func scatter(_ title: String, _ points: [(truth: Double, answer: Double)]) -> String {
        let values = points.flatMap { [$0.truth, $0.answer] }.filter(\.isFinite)
        guard let low = values.min(), let high = values.max() else { return "" }
        let (size, left) = (260.0, 60.0)
        let span = max(high - low, 1e-9)
        func x(_ value: Double) -> String { places(left + size * (value - low) / span, 1) }
        func y(_ value: Double) -> String { places(8 + size - size * (value - low) / span, 1) }
        var text = "<figure><figcaption>\(escaped(title)): answer over truth</figcaption>"
        text += "<svg viewBox=\"0 0 \(Int(left + size + 12)) \(Int(size + 32))\">"
        text += "<line class=grid x1=\(x(low)) y1=\(y(low)) x2=\(x(high)) y2=\(y(high)) />"
        for value in [low, (low + high) / 2, high] {
            text += "<text x=\(left - 6) y=\(y(value)) text-anchor=end>\(places(value, 2))</text>"
            text +=
                "<text x=\(x(value)) y=\(size + 26) text-anchor=middle>\(places(value, 2))</text>"
        }
        for point in points where point.truth.isFinite && point.answer.isFinite {
            text += "<circle cx=\(x(point.truth)) cy=\(y(point.answer)) r=2.5 fill=\"#1565c0\" />"
        }
        return text + "</svg></figure>"
    }

    /// A picture as part of the page.
    static func picture(_ image: Image, _ caption: String) throws -> String {
        "<figure><img alt=\"\(escaped(caption))\" src=\"data:image/png;base64,"
            + base64(try image.png()) + "\"><figcaption>\(escaped(caption))</figcaption></figure>"
    }

    static func page(_ title: String, _ body: String) -> String {
        """
        <!doctype html><html lang=en><head><meta charset=utf-8><title>\(escaped(title))</title><style>
        body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2em auto;padding:0 1em;color:#222}
        table{border-collapse:collapse;margin:.5em 0}td,th{padding:.2em .7em;text-align:right;border-bottom:1px solid #ddd}
        td:first-child,th:first-child{text-align:left}.matrix td{text-align:center;min-width:2.2em;border:1px solid #eee}
        .matrix tr:first-child th span{writing-mode:vertical-rl;transform:rotate(180deg)}
        figure{display:inline-block;margin:.4em;max-width:540px;vertical-align:top}figcaption{font-size:13px;max-width:260px}
        svg{width:520px;font-size:12px}polyline{fill:none;stroke-width:2}.grid{stroke:#e4e4e4}
        .failed{background:#fdecea;border-left:4px solid #c62828;padding:.6em .8em}
        pre{background:#f5f5f5;padding:.8em;overflow-x:auto;white-space:pre-wrap}
        @media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}pre{background:#222}.failed{background:#3a1c1c}svg text{fill:#ccc}}
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

    private static func base64(_ bytes: [UInt8]) -> String {
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
