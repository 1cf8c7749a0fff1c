// A network drawn as SVG: layers from top to bottom, branches beside each other.

public import GraftTensors

/// What `graft summary --svg` draws of a graph at one size of input.
public struct Drawing: Sendable {
    private struct Box {
        var title: String
        var detail: String
        var fill: String
        var x = 0.0
        var row = 0
        var inputs: [Int]
    }

    private let name: String
    private let heading: String
    private let width: Double
    private var boxes: [Box] = []
    private var rows: [[Int]] = []

    /// Of a letter, on average.
    private static let letter = 6.2
    private static let letters = 34...48
    private static let height = 34.0
    private static let gapX = 28.0
    private static let gapY = 22.0

    /// The drawing of `graph` for an input of this shape.
    public init(_ graph: Graph, input: Shape) throws(NetworkError) {
        let shapes = try graph.shapes(input: input)
        name = graph.name
        heading =
            "\(graph.name): \(graph.nodes.count) layers, \(grouped(graph.parameterCount)) parameters"
        for (node, shape) in zip(graph.nodes, shapes) {
            let weights = node.parameters.reduce(0) { $0 + $1.shape.count }
            let size = shape.dimensions.dropFirst().map(String.init).joined(separator: " × ")
            boxes.append(
                Box(
                    title: node.name,
                    detail: "\(node.op.kind) · \(size)"
                        + (weights > 0 ? " · \(grouped(weights))" : ""),
                    fill: Self.fill(node.op), inputs: node.inputs))
        }
        let longest = boxes.map { max($0.title.count, $0.detail.count) }.max() ?? 0
        let letters = min(max(longest, Self.letters.lowerBound), Self.letters.upperBound)
        width = 16 + Self.letter * Double(letters)
        place()
    }

    /// Rows by the longest way from the input; in a row, below the middle of what a layer reads.
    private mutating func place() {
        for index in boxes.indices {
            let row = boxes[index].inputs.map { boxes[$0].row + 1 }.max() ?? 0
            boxes[index].row = row
            while rows.count <= row { rows.append([]) }
            rows[row].append(index)
        }
        let step = width + Self.gapX
        for row in rows.indices.dropFirst() {
            for index in rows[row] {
                let above = boxes[index].inputs.map { boxes[$0].x }
                boxes[index].x = above.reduce(0, +) / Double(max(above.count, 1))
            }
            rows[row].sort { (boxes[$0].x, $0) < (boxes[$1].x, $1) }
            let middle = rows[row].reduce(0) { $0 + boxes[$1].x } / Double(rows[row].count)
            let start = middle - step * Double(rows[row].count - 1) / 2
            guard rows[row].count > 1 else { continue }
            for (place, index) in rows[row].enumerated() {
                boxes[index].x = start + step * Double(place)
            }
        }
    }

    /// A colour by what the operation does.
    private static func fill(_ op: Op) -> String {
        switch op {
        case .input: "#e8e8e8"
        case .conv2d(_, _, let groups, _): groups > 1 ? "#bcd7f2" : "#9cc4ee"
        case .convTranspose2d: "#9cd0ee"
        case .linear: "#8fb4e8"
        case .batchNorm, .layerNorm, .affine, .channelScale: "#d9ead3"
        case .activation, .softmax: "#fbe3b5"
        case .maxPool, .averagePool, .globalAveragePool, .globalMaxPool, .adaptiveAveragePool:
            "#f3c6c0"
        case .add, .multiply, .concatenate: "#d8c9ec"
        case .slice, .flatten, .reshape, .pad, .upsample, .channelShuffle, .dropout, .dropPath:
            "#efefef"
        }
    }

    /// The whole document.
    public var svg: String {
        let margin = 60.0
        let left = (boxes.map(\.x).min() ?? 0) - margin
        let title = (boxes.first?.x ?? 0) + 9 * Double(heading.count)
        let right = max((boxes.map(\.x).max() ?? 0) + width, title) + margin
        let bottom = Double(rows.count) * (Self.height + Self.gapY) + margin
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"\(Self.text(left)) "
                + "-40 \(Self.text(right - left)) \(Self.text(bottom + 40))\" "
                + "width=\"\(Self.text(right - left))\" height=\"\(Self.text(bottom + 40))\" "
                + "font-family=\"sans-serif\" font-size=\"11\">",
            "<title>\(Self.escaped(name))</title>",
            "<rect x=\"\(Self.text(left))\" y=\"-40\" width=\"100%\" height=\"100%\" fill=\"white\"/>",
            "<text x=\"\(Self.text(boxes.first?.x ?? 0))\" y=\"-16\" font-size=\"14\" "
                + "font-weight=\"bold\">\(Self.escaped(heading))</text>",
            "<g fill=\"none\" stroke=\"#777\">",
        ]
        for box in boxes {
            for input in box.inputs { lines.append(edge(from: boxes[input], to: box)) }
        }
        lines.append("</g>")
        for box in boxes {
            let (x, y) = (box.x, Self.top(box.row))
            lines += [
                "<g transform=\"translate(\(Self.text(x)) \(Self.text(y)))\">",
                "<title>\(Self.escaped(box.title)): \(Self.escaped(box.detail))</title>",
                "<rect width=\"\(Self.text(width))\" height=\"\(Self.text(Self.height))\" "
                    + "rx=\"4\" fill=\"\(box.fill)\" stroke=\"#555\"/>",
                "<text x=\"8\" y=\"14\">\(Self.escaped(short(box.title)))</text>",
                "<text x=\"8\" y=\"27\" fill=\"#444\">\(Self.escaped(short(box.detail)))</text>",
                "</g>",
            ]
        }
        return (lines + ["</svg>"]).joined(separator: "\n")
    }

    private static func top(_ row: Int) -> Double { Double(row) * (height + gapY) }

    /// A curve to the next row. A way past other rows goes around what stands between, or, where it
    /// ends in another column, down its own column first.
    private func edge(from a: Box, to b: Box) -> String {
        let rows = b.row - a.row
        if rows > 1, abs(a.x - b.x) < width / 2 {
            let (x1, y1) = (a.x + width, Self.top(a.row) + Self.height / 2)
            let (x2, y2) = (b.x + width, Self.top(b.row) + Self.height / 2)
            let side = max(x1, x2) + min(24 + 6 * Double(rows), 72)
            return Self.curve(x1, y1, side, y1, side, y2, x2, y2)
        }
        let (x1, y1) = (a.x + width / 2, Self.top(a.row) + Self.height)
        let (x2, y2) = (b.x + width / 2, Self.top(b.row))
        let turn = y2 - Self.gapY
        return Self.curve(
            x1, turn, x1, turn + Self.gapY / 2, x2, y2 - Self.gapY / 2, x2, y2, from: y1)
    }

    /// A cubic curve, after a straight way down from `from`.
    private static func curve(_ points: Double..., from top: Double? = nil) -> String {
        let text = points.map(Self.text)
        let start = top.map { "\(text[0]) \(Self.text($0))V\(text[1])" } ?? "\(text[0]) \(text[1])"
        return "<path d=\"M\(start)C" + text.dropFirst(2).joined(separator: " ") + "\"/>"
    }

    /// A coordinate with one decimal.
    private static func text(_ number: Double) -> String {
        let tenths = Int((number * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(Double(tenths) / 10)"
    }

    /// What fits in a box; the tooltip has all.
    private func short(_ text: String) -> String {
        let limit = Int((width - 16) / Self.letter)
        return text.count <= limit ? text : "…" + text.suffix(limit - 1)
    }

    private static func escaped(_ text: String) -> String {
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
}
