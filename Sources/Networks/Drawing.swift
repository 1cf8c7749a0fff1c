// A network drawn as SVG: layers from top to bottom, branches beside each other.

public import GraftTensors

/// What `graft summary --svg` draws of a graph at one size of input.
public struct Drawing: Sendable {
    private struct Box {
        var title: String
        var detail: String
        var fill: String
        /// The middle.
        var x = 0.0
        var row = 0
        /// Where its value passes each row below, down to the last that reads it.
        var lanes: [Double] = []
        var inputs: [Int]
    }

    private let name: String
    private let heading: String
    private let width: Double
    private var boxes: [Box] = []
    private var rows: [[Int]] = []

    /// Of a letter, on average.
    private static let letter = 6.2
    private static let letters = 34...52
    private static let height = 34.0
    private static let gapX = 28.0
    private static let lane = 14.0
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
                    fill: Self.fill(node.op.rule.family), inputs: node.inputs))
        }
        let longest = boxes.map { max($0.title.count, $0.detail.count) }.max() ?? 0
        let letters = min(max(longest, Self.letters.lowerBound), Self.letters.upperBound)
        width = 16 + Self.letter * Double(letters)
        place()
    }

    /// Rows by the longest way from the input; in a row, below the middle of what a layer reads.
    /// What is read some rows below passes each row between in a lane of its own.
    private mutating func place() {
        for index in boxes.indices {
            let row = boxes[index].inputs.map { boxes[$0].row + 1 }.max() ?? 0
            boxes[index].row = row
            while rows.count <= row { rows.append([]) }
            rows[row].append(index)
        }
        var last = boxes.map(\.row)
        for box in boxes { for input in box.inputs { last[input] = max(last[input], box.row) } }
        var passing: [Int] = []
        for row in rows.indices.dropFirst() {
            passing = (passing + rows[row - 1]).filter { last[$0] > row }
            place(rows[row], passing)
        }
    }

    /// One row: boxes where they would like to be, or beside it; then lanes in what room is left.
    private mutating func place(_ row: [Int], _ passing: [Int]) {
        var items = row.map { index in
            let above = boxes[index].inputs.map { boxes[$0].x }
            return Item(
                box: index, wish: above.reduce(0, +) / Double(max(above.count, 1)), isLane: false)
        }
        items += passing.map {
            Item(box: $0, wish: boxes[$0].lanes.last ?? boxes[$0].x, isLane: true)
        }
        items.sort { ($0.wish, $0.isLane ? 1 : 0, $0.box) < ($1.wish, $1.isLane ? 1 : 0, $1.box) }
        var right = -Double.infinity
        var places: [Double] = []
        for item in items {
            let half = item.isLane ? Self.lane / 2 : width / 2
            let x = max(item.wish, right + half)
            places.append(x)
            right = x + half + (item.isLane ? 0 : Self.gapX)
        }
        // Boxes stay where they wish to be on average; lanes go with them.
        let moved = zip(items, places).filter { !$0.0.isLane }.map { $1 - $0.wish }
        let shift = moved.reduce(0, +) / Double(max(moved.count, 1))
        for (item, x) in zip(items, places) {
            if item.isLane {
                boxes[item.box].lanes.append(x - shift)
            } else {
                boxes[item.box].x = x - shift
            }
        }
    }

    private struct Item {
        let box: Int
        let wish: Double
        let isLane: Bool
    }

    /// The colour of a box, by what its operation does.
    private static func fill(_ family: OpFamily) -> String {
        switch family {
        case .input: "#e8e8e8"
        case .convolution: "#9cc4ee"
        case .groupedConvolution: "#bcd7f2"
        case .transposedConvolution: "#9cd0ee"
        case .product: "#8fb4e8"
        case .normalization: "#d9ead3"
        case .activation: "#fbe3b5"
        case .pooling: "#f3c6c0"
        case .combination: "#d8c9ec"
        case .movement: "#efefef"
        }
    }

    /// The whole document.
    public var svg: String {
        let margin = 60.0
        let all = boxes.flatMap(\.lanes) + boxes.map(\.x)
        let left = (all.min() ?? 0) - width / 2 - margin
        let start = (boxes.first?.x ?? 0) - width / 2
        let right = max((all.max() ?? 0) + width / 2, start + 9 * Double(heading.count)) + margin
        let bottom = Double(rows.count) * (Self.height + Self.gapY) + margin
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"\(Self.text(left)) "
                + "-40 \(Self.text(right - left)) \(Self.text(bottom + 40))\" "
                + "width=\"\(Self.text(right - left))\" height=\"\(Self.text(bottom + 40))\" "
                + "font-family=\"sans-serif\" font-size=\"11\">",
            "<title>\(Self.escaped(name))</title>",
            "<rect x=\"\(Self.text(left))\" y=\"-40\" width=\"100%\" height=\"100%\" fill=\"white\"/>",
            "<text x=\"\(Self.text(start))\" y=\"-16\" font-size=\"14\" "
                + "font-weight=\"bold\">\(Self.escaped(heading))</text>",
            "<g fill=\"none\" stroke=\"#777\">",
        ]
        for box in boxes {
            for input in box.inputs { lines.append(edge(from: boxes[input], to: box)) }
        }
        lines.append("</g>")
        for box in boxes {
            let (x, y) = (box.x - width / 2, Self.top(box.row))
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

    /// A curve from row to row, straight down past the rows between.
    private func edge(from a: Box, to b: Box) -> String {
        var (x, y) = (a.x, Self.top(a.row) + Self.height)
        var path = "M\(Self.text(x)) \(Self.text(y))"
        func curve(to next: Double, _ row: Int) {
            let (bottom, half) = (Self.top(row), Self.gapY / 2)
            if next == x {
                path += "V\(Self.text(bottom))"
            } else {
                let points = [x, y + half, next, bottom - half, next, bottom].map(Self.text)
                path += "C" + points.joined(separator: " ")
            }
            (x, y) = (next, bottom)
        }
        for (index, lane) in a.lanes.prefix(b.row - a.row - 1).enumerated() {
            curve(to: lane, a.row + 1 + index)
            y += Self.height
            path += "V\(Self.text(y))"
        }
        curve(to: b.x, b.row)
        return "<path d=\"\(path)\"/>"
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
