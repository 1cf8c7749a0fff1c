// A summary as text: Keras' table, as wide as it must be or as a terminal is.

import GraftTensors

extension Summary {
    /// The table at its full width: no name is cut.
    public var text: String { text(fitting: nil) }

    /// The table on `limit` columns: names lose their middle, which says least; many inputs become a count.
    /// Shapes and counts are never cut, so that a limit of less than about 60 columns may be passed.
    public func text(fitting limit: Int?) -> String {
        let header = ["Layer (type)", "Output Shape", "Param #", "Connected to"]
        var rows = layers.map { row in
            [
                "\(row.name) (\(row.type))", row.output.description,
                grouped(row.parameters), row.inputs.joined(separator: ", "),
            ]
        }
        var widths = header.indices.map { column in
            ([header] + rows).map { $0[column].count }.max() ?? 0
        }
        let gaps = 6
        if let limit, widths.reduce(gaps, +) > limit {
            let room = limit - widths[1] - widths[2] - gaps
            let names = widths[0]
            // What the other does not need is the one's; else three fifths are for the layer.
            widths[3] = min(widths[3], max(room * 2 / 5, room - names, header[3].count))
            widths[0] = min(names, max(room - widths[3], 16))
            for (index, row) in layers.enumerated() {
                rows[index][0] = Self.layer(row, on: widths[0])
                rows[index][3] = Self.inputs(row.inputs, on: widths[3])
            }
        }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (column, cell) in cells.enumerated() {
                let space = String(repeating: " ", count: max(0, widths[column] - cell.count))
                text += column == 2 ? space + cell : cell + space
                text += "  "
            }
            while text.last == " " { text.removeLast() }
            return text
        }
        let rule = String(repeating: "─", count: widths.reduce(gaps, +))
        return
            ([name, rule, line(header), rule] + rows.map(line) + [
                rule, "Layers with weights: \(depth)", "Total params: \(grouped(total))",
                "Trainable params: \(grouped(trainable))",
                "Non-trainable params: \(grouped(nonTrainable))",
            ]).joined(separator: "\n")
    }

    /// `name (type)`; the type stays as long as eight letters of the name do.
    private static func layer(_ row: Row, on width: Int) -> String {
        let type = " (\(row.type))"
        guard width - type.count >= min(row.name.count, 8) else {
            return shortened(row.name + type, to: width)
        }
        return shortened(row.name, to: width - type.count) + type
    }

    /// All names if they fit whole or with eight letters each, else the first and how many more.
    private static func inputs(_ names: [String], on width: Int) -> String {
        let whole = names.joined(separator: ", ")
        guard whole.count > width, names.count > 1 else { return shortened(whole, to: width) }
        let each = (width - 2 * (names.count - 1)) / names.count
        if each >= 8 {
            return names.map { shortened($0, to: each) }.joined(separator: ", ")
        }
        let more = ", +\(names.count - 1)"
        return shortened(names[0], to: width - more.count) + more
    }
}
