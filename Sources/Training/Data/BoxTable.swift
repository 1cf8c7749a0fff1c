// Tables with a box in each row: TensorFlow's CSV, VIA's CSV, Open Images, and Kaggle's `bbox` columns.

import GraftFormats
import GraftImages
import GraftTensors

/// Reads the annotations of a table.
struct BoxTable {
    /// How the rows of a table say where an object is.
    private enum Geometry {
        case edges([Int])
        case sides([Int])
        case list(Int)
        case objects(Int)
        case via(shape: Int, attributes: Int)
        /// Label Studio's results in JSON.
        case labelStudio([Int])

        /// Whether the class is in a column of its own.
        var needsLabel: Bool {
            switch self {
            case .edges, .sides, .list: true
            case .objects, .via, .labelStudio: false
            }
        }
    }

    private static let brackets: Set<Unicode.Scalar> = ["[", "]", "(", ")", "{", "}"]
    private let table: TextTable
    private let columns: TableColumns
    private let geometry: Geometry
    private let reading: PhotoReading
    /// Open Images' columns of 1 for crowds and for objects that are cut off.
    private let crowd: Int?
    private let truncated: Int?

    /// nil if the table has no boxes.
    init?(_ table: TextTable, _ columns: TableColumns, _ reading: PhotoReading) throws {
        func column(_ names: [String]) throws -> Int? {
            for name in names {
                if let asked = reading.columnRoles[name] {
                    guard let found = table.column(asked) else {
                        throw PhotoTableError.noColumn(
                            table.path, column: asked, found: table.titles.joined(separator: ", "))
                    }
                    return found
                }
            }
            return table.first(of: names)
        }
        self.table = table
        self.columns = columns
        self.reading = reading
        crowd = table.column("IsGroupOf") ?? table.column("iscrowd")
        truncated = table.column("IsTruncated") ?? table.column("truncated")
        let edges = try [
            ["xmin", "x1", "left", "xmi"], ["ymin", "y1", "top", "ymi"], ["xmax", "x2", "right"],
            ["ymax", "y2", "bottom"],
        ].compactMap(column)
        let sides = try [["x"], ["y"], ["width", "w"], ["height", "h"]].compactMap(column)
        if let shape = table.column("region_shape_attributes"),
            let attributes = table.column("region_attributes")
        {
            geometry = .via(shape: shape, attributes: attributes)
        } else if let found = Self.labelStudioColumns(table) {
            geometry = .labelStudio(found)
        } else if let objects = table.column("objects"),
            table.rows.contains(where: { Self.object($0[objects], table)?["bbox"] != nil })
        {
            geometry = .objects(objects)
        } else if edges.count == 4 {
            geometry = .edges(edges)
        } else if sides.count == 4 {
            geometry = .sides(sides)
        } else if let list = try column(["bbox", "box"]) {
            geometry = .list(list)
        } else {
            return nil
        }
    }

    func read() -> AnnotatedImages {
        if case .labelStudio(let columns) = geometry { return labelStudio(columns) }
        var draft = AnnotationDraft(format: "CSV")
        draft.set.omissions = table.omissions
        draft.set.notes = table.notes
        let splits = columns.splits(table, &draft.set.notes)
        var finders = ImageFinders(table: table.path, reading)
        let label = columns.labels.first ?? table.first(of: TableColumns.labelNames)
        let size = ["width", "height"].compactMap {
            table.first(of: [$0, "image" + $0, "img" + $0])
        }
        let names = OpenImagesNames(table, label: label, near: folder(of: table.path))
        draft.set.notes += [names.note].compactMap(\.self)
        var places: [String: Int] = [:]
        for (row, cells) in table.rows.enumerated() {
            let name = cells[columns.path].text
            let place = table.place(row)
            guard !name.isEmpty else {
                draft.set.omissions.add(.malformed, at: place, "no path")
                continue
            }
            if places[name] == nil {
                let found = finders.find(name, splits[row])
                var image = AnnotatedImage(
                    path: found ?? join(folder(of: table.path), name), name: name)
                image.isMissing = found == nil
                image.place = place
                image.split = splits[row]
                image.group = columns.group.map { cells[$0].text }
                places[name] = draft.entries.count
                draft.entries.append(AnnotationDraft.Entry(image))
            }
            guard let at = places[name] else { continue }
            if case .sides = geometry {
            } else if size.count == 2,
                let width = Int(cells[size[0]].text), let height = Int(cells[size[1]].text),
                width > 0,
                height > 0
            {
                draft.entries[at].recorded = (width, height)
            }
            for var annotation in annotations(cells, place, label: label, &draft.set.omissions) {
                annotation.label = names.names[annotation.label] ?? annotation.label
                annotation.isCrowd = crowd.map { cells[$0].text == "1" } ?? false
                annotation.isTruncated = truncated.map { cells[$0].text == "1" } ?? false
                draft.entries[at].annotations.append(annotation)
            }
        }
        draft.set.notes += finders.notes
        if label == nil, geometry.needsLabel {
            draft.set.notes.append(
                "`\(table.path)` has no column of classes: all boxes are of the class `object`; "
                    + "--columns label=NAME names one")
        }
        settleUnit(&draft)
        return draft.finished(reading)
    }

    /// The columns whose fields are lists of Label Studio's results.
    private static func labelStudioColumns(_ table: TextTable) -> [Int]? {
        let columns = table.titles.indices.filter { column in
            let first = table.rows.prefix(20).map { $0[column].text }.first { !$0.isEmpty }
            return first.map { $0.hasPrefix("[{") && $0.contains("original_width") } ?? false
        }
        return columns.isEmpty ? nil : columns
    }

    private func labelStudio(_ results: [Int]) -> AnnotatedImages {
        var set = JSONSet(.labelStudio, path: table.path, split: nil, reading)
        set.draft.set.omissions = table.omissions
        set.draft.set.notes = table.notes
        for (row, cells) in table.rows.enumerated() {
            let place = table.place(row)
            let name = cells[columns.path].text
            guard !name.isEmpty else {
                set.leaveOut(.malformed, place, "no path")
                continue
            }
            for column in results where !cells[column].text.isEmpty {
                guard let tree = try? JSONTree.parse(cells[column].text, path: table.path) else {
                    set.leaveOut(.malformed, place, "not JSON in `\(table.titles[column])`")
                    continue
                }
                set.readLabelStudio(results: tree, of: name, at: place)
            }
        }
        return set.finished(reading)
    }

    /// Boxes of which none reaches beyond 1 are shares of the sides, as in Open Images.
    private func settleUnit(_ draft: inout AnnotationDraft) {
        let boxes = draft.entries.flatMap { $0.annotations.compactMap(\.box) }
        guard !boxes.isEmpty, boxes.allSatisfy({ $0.right <= 1.01 && $0.bottom <= 1.01 }) else {
            return
        }
        for index in draft.entries.indices { draft.entries[index].unit = .shares }
        draft.set.notes.append("no box reaches beyond 1: they are taken as shares of the sides")
    }

    private func annotations(
        _ cells: [TextTable.Cell], _ place: AnnotationPlace, label: Int?,
        _ omissions: inout Omissions
    ) -> [Annotation] {
        let name = label.map { cells[$0].text } ?? "object"
        func leaveOut(_ cause: Omissions.Cause, _ detail: String) -> [Annotation] {
            omissions.add(cause, at: place, detail)
            return []
        }
        func numbers(_ columns: [Int]) -> [Double]? {
            let texts = columns.map { cells[$0].text }
            let numbers = texts.compactMap { Double($0) }
            return numbers.count == columns.count ? numbers : nil
        }
        func boxed(_ sides: [Double]) -> [Annotation] {
            guard !name.isEmpty else { return leaveOut(.noLabel, "") }
            let box = Box(left: sides[0], top: sides[1], right: sides[2], bottom: sides[3])
            return [Annotation(label: name, box: box, place: place)]
        }
        switch geometry {
        case .edges(let columns):
            // An image without objects has a row of empty fields.
            if columns.allSatisfy({ cells[$0].text.isEmpty }) { return [] }
            guard let sides = numbers(columns) else {
                return leaveOut(.malformed, "expected 4 numbers for the edges of the box")
            }
            return boxed(sides)
        case .sides(let columns):
            if columns.allSatisfy({ cells[$0].text.isEmpty }) { return [] }
            guard let sides = numbers(columns) else {
                return leaveOut(.malformed, "expected 4 numbers for the box")
            }
            return boxed([sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3]])
        case .list(let column):
            let text = cells[column].texts.joined(separator: ",")
            if text.isEmpty { return [] }
            let sides = text.unicodeScalars.split {
                $0 == "," || $0.properties.isWhitespace || Self.brackets.contains($0)
            }.compactMap { Double(String($0)) }
            guard sides.count == 4 else {
                return leaveOut(.malformed, "expected left, top, width and height")
            }
            return boxed([sides[0], sides[1], sides[0] + sides[2], sides[1] + sides[3]])
        case .objects(let column): return objects(cells[column], place, &omissions)
        // Read before: a result may be more than one annotation.
        case .labelStudio: return []
        case .via(let shape, let attributes):
            let parsed = [shape, attributes].map {
                (try? JSONTree.parse(cells[$0].text, path: table.path))?.object
            }
            guard let shape = parsed[0], !shape.members.isEmpty else { return [] }
            guard let label = JSONSet.label(parsed[1]) else { return leaveOut(.noLabel, "") }
            var annotation = Annotation(label: label, place: place)
            guard VIAShape.read(shape, &annotation) else {
                return leaveOut(.unsupported, "`\(shape["name"]?.string ?? "no shape")`")
            }
            return [annotation]
        }
    }

    /// The object of a field: JSON's own, or the text of one in a CSV, which pandas writes with Python's
    /// quotes.
    private static func object(_ cell: TextTable.Cell, _ table: TextTable) -> JSONObject? {
        if let object = cell.json?.object { return object }
        guard cell.text.hasPrefix("{") else { return nil }
        if let tree = try? JSONTree.parse(cell.text, path: table.path) { return tree.object }
        guard !cell.text.contains("\"") else { return nil }
        let quoted = String(cell.text.map { $0 == "'" ? "\"" : $0 })
        return (try? JSONTree.parse(quoted, path: table.path))?.object
    }

    /// The Hub's `objects` column: `{"bbox": [[x, y, w, h], …], "categories": […]}`.
    private func objects(
        _ cell: TextTable.Cell, _ place: AnnotationPlace, _ omissions: inout Omissions
    ) -> [Annotation] {
        guard let object = Self.object(cell, table) else {
            if !cell.text.isEmpty { omissions.add(.malformed, at: place, "not JSON in `objects`") }
            return []
        }
        let boxes = object["bbox"]?.list ?? []
        let names =
            ["categories", "category", "labels", "label", "classes", "category_id"]
            .lazy.compactMap { object[$0]?.list }.first ?? []
        guard boxes.count == names.count else {
            omissions.add(
                .malformed, at: place, "\(boxes.count) boxes, but \(names.count) categories")
            return []
        }
        return zip(boxes, names).compactMap { box, name in
            guard let sides = box.numbers, sides.count == 4, let name = name.name else {
                omissions.add(.malformed, at: place, "expected a box of 4 numbers and a category")
                return nil
            }
            return Annotation(
                label: name,
                box: Box(
                    left: sides[0], top: sides[1], right: sides[0] + sides[2],
                    bottom: sides[1] + sides[3]), place: place)
        }
    }
}
