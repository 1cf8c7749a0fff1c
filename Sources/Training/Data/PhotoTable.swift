// Labelled images in a table: which labels, classes or numbers each row gives.

import GraftFormats
import GraftImages
import GraftTensors

extension PhotoFolder {
    /// The images of a table. Columns are found by their names, or as ``PhotoReading/columnRoles`` and
    /// ``PhotoReading/columns`` say: one of paths, and one of classes, of lists of labels or of
    /// numbers, or a column of 0 and 1 for each label. A column `split` divides the set; images of one
    /// `group` stay on one side of a split. Tables with boxes are read as annotated images.
    public static func table(_ path: String, _ reading: PhotoReading = PhotoReading()) throws
        -> PhotoFolder
    {
        let table = try TextTable(path, reading)
        guard !table.rows.isEmpty else {
            throw PhotoTableError.noRows(path, reason: table.omissions.lines.first)
        }
        let columns = try TableColumns(table, reading)
        if let boxes = try BoxTable(table, columns, reading) {
            return try boxes.read().photos(path, reading)
        }
        var labelled = try LabelledTable(table, columns, reading)
        return try labelled.photos()
    }

    /// Throws if a number for each label of each image would fill the memory.
    static func checkTargets(_ path: String, _ labels: Int, _ photos: Int) throws {
        guard labels <= (1 << 27) / max(photos, 1) else {
            throw PhotoFolderError.tooManyLabels(path, labels: labels, photos: photos)
        }
    }
}

/// What the columns of a table say of each row.
private struct LabelledTable {
    private let table: TextTable
    private let columns: TableColumns
    private let reading: PhotoReading
    private var labelling = Labelling.oneClass
    private var omissions: Omissions
    private var notes: [String]
    /// The columns that labels or values are in.
    private var chosen: [Int] = []
    /// Whether ``chosen`` are columns of 0 and 1.
    private var areFlags = false

    init(_ table: TextTable, _ columns: TableColumns, _ reading: PhotoReading) throws {
        self.table = table
        self.columns = columns
        self.reading = reading
        omissions = table.omissions
        notes = table.notes
        try choose()
    }

    /// Decides what is to be learned, and from which columns.
    private mutating func choose() throws {
        let label = table.first(of: TableColumns.labelNames)
        let list = table.first(of: TableColumns.listNames)
        let values = TableColumns.valueNames.compactMap { table.column($0) }
        let others = columns.others(table)
        let asked = columns.labels
        var wanted = reading.labelling
        if wanted == nil, reading.columnRoles["value"] != nil { wanted = .values }
        if wanted == nil, reading.columnRoles["labels"] != nil || reading.labelDelimiter != nil {
            wanted = .labels
        }
        switch wanted {
        case .values:
            chosen = asked.isEmpty ? (values.isEmpty && others.count == 1 ? others : values) : asked
            labelling = .values
        case .labels:
            labelling = .labels
            if asked.isEmpty, let list = list ?? (reading.labelDelimiter == nil ? nil : label) {
                chosen = [list]
            } else {
                chosen = asked.isEmpty ? others : asked
                areFlags = chosen.count > 1 || (chosen.count == 1 && !isList(chosen[0]))
            }
        case .oneClass:
            labelling = .oneClass
            chosen = asked.isEmpty ? [label ?? list].compactMap(\.self) : asked
            if chosen.isEmpty, others.count == 1 { chosen = others }
            if chosen.isEmpty, others.count > 1, areAllFlags(others) { chosen = others }
            areFlags = chosen.count > 1
        case nil: chooseFreely(label, list, values, others, asked)
        }
        guard !chosen.isEmpty else {
            throw PhotoTableError.noColumns(
                table.path, found: table.titles.joined(separator: ", "))
        }
    }

    private mutating func chooseFreely(
        _ label: Int?, _ list: Int?, _ values: [Int], _ others: [Int], _ asked: [Int]
    ) {
        if !asked.isEmpty {
            chosen = asked
            areFlags = asked.count > 1
            labelling = asked.count > 1 ? .labels : .oneClass
            if asked == values { labelling = .values }
        } else if let label {
            chosen = [label]
        } else if let list {
            (chosen, labelling) = ([list], .labels)
        } else if !values.isEmpty {
            (chosen, labelling) = (values, .values)
        } else if others.count > 1, areAllFlags(others) {
            (chosen, areFlags, labelling) = (others, true, .labels)
            notes.append("the columns \(titles(others)) hold 0 and 1 and are taken as labels")
        } else if others.count == 1, !isNumeric(others[0]) {
            chosen = others
            notes.append(
                "`\(table.titles[others[0]])` is taken as the label; --columns label=NAME chooses another"
            )
        }
    }

    private func titles(_ columns: [Int]) -> String {
        let shown = columns.prefix(5).map { "`\(table.titles[$0])`" }.joined(separator: ", ")
        return columns.count > 5 ? shown + " and \(columns.count - 5) more" : shown
    }

    /// Whether the fields of a column are names and not flags.
    private func isList(_ column: Int) -> Bool {
        table.rows.contains { Self.flag($0[column].text) == nil }
    }

    private func isNumeric(_ column: Int) -> Bool {
        table.rows.allSatisfy { Double($0[column].text) != nil || $0[column].text.isEmpty }
    }

    private func areAllFlags(_ columns: [Int]) -> Bool {
        table.rows.allSatisfy { cells in columns.allSatisfy { Self.flag(cells[$0].text) != nil } }
    }

    /// 1 of what holds and 0 of what does not, in the ways that tables write it; nil of anything else.
    private static func flag(_ text: String) -> Float? {
        switch text.lowercased() {
        case "1", "1.0", "true", "yes": 1
        case "0", "0.0", "-1", "-1.0", "false", "no", "": 0
        default: nil
        }
    }

    mutating func photos() throws -> PhotoFolder {
        let splits = columns.splits(table, &notes)
        var finders = ImageFinders(table: table.path, reading)
        var items: [PhotoFolder.Item] = []
        var kept: [Int] = []
        var missing: String?
        for (row, cells) in table.rows.enumerated() {
            let name = cells[columns.path].text
            guard !name.isEmpty else {
                omissions.add(.malformed, at: table.place(row), "no path")
                continue
            }
            guard let found = finders.find(name, splits[row]) else {
                omissions.add(.missingImage, at: table.place(row), name)
                missing = missing ?? name
                continue
            }
            var item = PhotoFolder.Item(path: found, relativePath: name, classIndex: 0)
            item.split = splits[row]
            item.group = columns.group.map { cells[$0].text }
            items.append(item)
            kept.append(row)
        }
        notes += finders.notes
        if let missing, items.isEmpty {
            throw PhotoTableError.noImages(
                table.path, first: missing, column: table.titles[columns.path])
        }
        let names: [String]
        switch labelling {
        case .values: names = values(&items, &kept)
        case .labels: names = try labels(&items, &kept)
        case .oneClass: names = classes(&items, &kept)
        }
        guard !items.isEmpty else {
            throw PhotoTableError.noRows(table.path, reason: omissions.lines.first)
        }
        let sorted = items.sorted {
            ($0.classIndex, $0.relativePath) < ($1.classIndex, $1.relativePath)
        }
        var result = PhotoFolder(
            path: table.path, classes: names, items: sorted, labelling: labelling)
        result.remarks = omissions.lines
        result.notes = notes
        return result
    }

    private mutating func keep(
        _ flags: [Bool], _ items: inout [PhotoFolder.Item], _ rows: inout [Int]
    ) {
        items = zip(items, flags).filter(\.1).map(\.0)
        rows = zip(rows, flags).filter(\.1).map(\.0)
    }

    private mutating func values(_ items: inout [PhotoFolder.Item], _ rows: inout [Int]) -> [String]
    {
        var hasCommas = false
        var flags: [Bool] = []
        for index in items.indices {
            let cells = table.rows[rows[index]]
            let numbers = chosen.compactMap { column -> Float? in
                let text = cells[column].text
                if let value = Float(text) { return value.isFinite ? value : nil }
                // 20,5 as most of Europe writes it.
                let parts = text.split(separator: ",", omittingEmptySubsequences: false)
                guard parts.count == 2, let value = Float(parts.joined(separator: ".")) else {
                    return nil
                }
                hasCommas = true
                return value.isFinite ? value : nil
            }
            flags.append(numbers.count == chosen.count)
            if numbers.count == chosen.count {
                items[index].targets = numbers
            } else {
                let text = chosen.map { "`\(cells[$0].text)`" }.joined(separator: ", ")
                omissions.add(.noValue, at: table.place(rows[index]), text)
            }
        }
        keep(flags, &items, &rows)
        if hasCommas { notes.append("commas in numbers are taken as decimal points") }
        return chosen.map { table.titles[$0] }
    }

    private mutating func classes(_ items: inout [PhotoFolder.Item], _ rows: inout [Int])
        -> [String]
    {
        var labels: [String] = []
        var flags: [Bool] = []
        for row in rows {
            let cells = table.rows[row]
            let label: String?
            if areFlags {
                let held = chosen.filter { Self.flag(cells[$0].text) == 1 }
                label = held.count == 1 ? table.titles[held[0]] : nil
            } else {
                let texts = cells[chosen[0]].texts
                label = texts.count == 1 && !texts[0].isEmpty ? texts[0] : nil
            }
            flags.append(label != nil)
            if let label {
                labels.append(label)
            } else {
                omissions.add(.noLabel, at: table.place(row))
            }
        }
        keep(flags, &items, &rows)
        settleRepeats(&items, &labels, rows)
        let names = sortedNames(labels)
        if labelling == .labels { return names }
        let places = places(names)
        for (index, label) in labels.enumerated() { items[index].classIndex = places[label] ?? 0 }
        sayOfClasses(names)
        return names
    }

    /// Images with several rows: labels of one image if most images have them, else repeats.
    private mutating func settleRepeats(
        _ items: inout [PhotoFolder.Item], _ labels: inout [String], _ rows: [Int]
    ) {
        let groups = Dictionary(grouping: items.indices, by: { items[$0].path })
        guard groups.count < items.count else { return }
        let several = groups.values.count { group in Set(group.map { labels[$0] }).count > 1 }
        if reading.task == nil, several * 2 > groups.count {
            notes.append(
                "most images have several rows with different labels: they are read as labels that "
                    + "hold together; --task classification takes the first row of each")
            labelling = .labels
            let names = sortedNames(labels)
            let places = places(names)
            var merged: [PhotoFolder.Item] = []
            for group in groups.values.sorted(by: { $0[0] < $1[0] }) {
                var item = items[group[0]]
                item.targets = [Float](repeating: 0, count: names.count)
                for index in group { if let at = places[labels[index]] { item.targets[at] = 1 } }
                merged.append(item)
            }
            items = merged
            return
        }
        var flags: [Bool] = []
        for index in items.indices {
            let first = groups[items[index].path]?.first ?? index
            flags.append(first == index)
            guard first != index else { continue }
            omissions.add(
                .duplicate, at: table.place(rows[index]),
                "`\(items[index].relativePath)` as `\(labels[index])`, first as `\(labels[first])`")
        }
        items = zip(items, flags).filter(\.1).map(\.0)
        labels = zip(labels, flags).filter(\.1).map(\.0)
    }

    private mutating func sayOfClasses(_ names: [String]) {
        let folded = Dictionary(grouping: names, by: { $0.lowercased() }).values.filter {
            $0.count > 1
        }
        if let twins = folded.sorted(by: { $0[0] < $1[0] }).first {
            notes.append(
                "classes that differ only in case are kept apart: "
                    + twins.map { "`\($0)`" }.joined(separator: ", "))
        }
        guard !areFlags, reading.labelDelimiter == nil, !columns.labels.contains(chosen[0]) else {
            return
        }
        for mark in ["|", ";", ","] where names.contains(where: { $0.contains(mark) }) {
            notes.append(
                "labels that hold `\(mark)` are taken as one class each; --label-delimiter '\(mark)' "
                    + "divides them")
        }
    }

    private mutating func labels(_ items: inout [PhotoFolder.Item], _ rows: inout [Int]) throws
        -> [String]
    {
        if areFlags {
            var flags: [Bool] = []
            var signs: Set<String> = []
            for index in items.indices {
                let cells = table.rows[rows[index]]
                let row = chosen.compactMap { Self.flag(cells[$0].text) }
                for column in chosen where ["0", "-1"].contains(cells[column].text) {
                    signs.insert(cells[column].text)
                }
                flags.append(row.count == chosen.count)
                items[index].targets = row
                guard row.count != chosen.count else { continue }
                let wrong = chosen.first { Self.flag(cells[$0].text) == nil } ?? chosen[0]
                omissions.add(
                    .malformed, at: table.place(rows[index]),
                    "`\(cells[wrong].text)` in column `\(table.titles[wrong])`, expected 0 or 1")
            }
            keep(flags, &items, &rows)
            if signs.count > 1 { notes.append("-1 is taken as 0: the label does not hold") }
            return chosen.map { table.titles[$0] }
        }
        let column = chosen[0]
        let delimiters = try delimiters(column, rows)
        let lists = rows.map { row -> [String] in
            let cell = table.rows[row][column]
            guard cell.texts.count == 1 else { return cell.texts }
            return split(cell.text, delimiters)
        }
        let names = sortedNames(lists.flatMap { $0 }.filter { !$0.isEmpty })
        try PhotoFolder.checkTargets(table.path, names.count, lists.count)
        let places = places(names)
        for (index, list) in lists.enumerated() {
            items[index].targets = [Float](repeating: 0, count: names.count)
            for label in list { if let at = places[label] { items[index].targets[at] = 1 } }
        }
        return names
    }

    /// What parts the labels of a field: as asked for, `|` and `;`, or commas where none of these is.
    private mutating func delimiters(_ column: Int, _ rows: [Int]) throws -> [String] {
        if let asked = reading.labelDelimiter { return [asked] }
        let texts = rows.map { table.rows[$0][column] }.filter { $0.texts.count == 1 }.map(\.text)
        if texts.contains(where: { $0.contains("|") || $0.contains(";") }) { return ["|", ";"] }
        if texts.contains(where: { $0.contains(",") }) { return [","] }
        if texts.contains(where: { $0.contains(" ") }) {
            notes.append(
                "labels that hold blanks are taken as one label each; --label-delimiter ' ' divides "
                    + "them")
        }
        return ["|", ";"]
    }

    private func split(_ text: String, _ delimiters: [String]) -> [String] {
        var parts = [text]
        for delimiter in delimiters where !delimiter.isEmpty {
            parts = parts.flatMap { $0.split(separator: delimiter).map(String.init) }
        }
        return parts.map { $0[...].trimmed }.filter { !$0.isEmpty }
    }
}

/// Names once each, in the order of their bytes.
func sortedNames(_ names: some Sequence<String>) -> [String] {
    Set(names).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}

func places(_ names: [String]) -> [String: Int] {
    Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
}

extension Substring {
    var trimmed: String {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
