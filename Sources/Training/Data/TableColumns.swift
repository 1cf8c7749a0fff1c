// Which columns of a table hold paths, labels, splits and edges of boxes: by their names, or as asked for.

import GraftImages
import GraftTensors

/// The columns of a table by what they hold.
struct TableColumns {
    var path: Int
    var split: Int?
    var group: Int?
    /// The columns that hold labels or values, if they are named as such.
    var labels: [Int] = []

    /// The names that columns of paths have, the surest first.
    static let pathNames = [
        "path", "filepath", "filename", "file", "imagepath", "imagefile", "imagefilename",
        "imagename",
        "image", "imageid", "imgpath", "imgname", "imgfile", "img", "imgid", "photo", "photoid",
        "picture", "fname", "uri", "url", "id", "name",
    ]
    static let labelNames = [
        "label", "class", "classname", "labelname", "category", "categoryname", "classid",
        "labelid",
        "species", "breed", "diagnosis",
    ]
    static let listNames = ["labels", "tags", "classes", "categories"]
    static let valueNames = ["value", "values", "target", "targets", "score"]
    private static let splitNames = [
        "split", "subset", "partition", "dataset", "datasets", "set", "usage", "phase",
    ]

    /// Whether a column of this name is taken for numbers to learn.
    static func isValue(_ title: String) -> Bool { valueNames.contains(TextTable.key(title)) }

    /// Finds the columns.
    ///
    /// - Throws: ``PhotoTableError`` if one that was asked for is not there, or none holds paths.
    init(_ table: TextTable, _ reading: PhotoReading) throws {
        func asked(_ name: String) throws -> Int {
            guard let column = table.column(name) else {
                throw PhotoTableError.noColumn(
                    table.path, column: name, found: table.titles.joined(separator: ", "))
            }
            return column
        }
        labels = try reading.columns.map(asked)
        for role in ["label", "labels", "value"] {
            if let name = reading.columnRoles[role] { labels.append(try asked(name)) }
        }
        group = try reading.columnRoles["group"].map(asked) ?? table.column("group")
        split = try reading.columnRoles["split"].map(asked) ?? table.first(of: Self.splitNames)
        if let name = reading.columnRoles["path"] {
            path = try asked(name)
            return
        }
        let taken = labels
        let named = Self.pathNames.lazy.compactMap { table.column($0) }
            .first { !taken.contains($0) }
        let likely = table.titles.indices.first { column in
            let cells = table.rows.prefix(20).map { $0[column].text }
            return !cells.isEmpty && cells.allSatisfy { ContentKind.hasReadableExtension($0) }
        }
        // A column of file names is surer than a name such as `id`.
        guard let found = likely ?? named else {
            throw PhotoTableError.noPaths(
                table.path, found: table.titles.joined(separator: ", "))
        }
        path = found
    }

    /// The columns that nothing else is known of.
    func others(_ table: TextTable) -> [Int] {
        table.titles.indices.filter { column in
            column != path && column != split && column != group
                // The numbers of rows that pandas writes have no name.
                && !(table.titles[column].isEmpty || table.titles[column] == "Unnamed: 0")
        }
    }

    /// The split of each row; nil where the column does not divide.
    func splits(_ table: TextTable, _ notes: inout [String]) -> [DataSplit?] {
        guard let split else { return table.rows.map { _ in nil } }
        let texts = table.rows.map { $0[split].text }
        let named = texts.map { DataSplit(naming: $0) }
        let title = table.titles[split]
        if named.contains(where: { $0 != nil }) {
            let unknown = zip(texts, named).count { $1 == nil && !$0.isEmpty }
            if unknown > 0 {
                notes.append(
                    "\(unknown) rows name no split in `\(title)` and are taken as training images")
            }
            return named.map { $0 ?? .training }
        }
        if Set(texts).isSubset(of: ["0", "1", "2"]), texts.contains("0"), Set(texts).count > 1,
            TextTable.key(title) != "set"
        {
            notes.append("`\(title)` divides the set: 0 training, 1 validation, 2 test")
            return texts.map { $0 == "0" ? .training : $0 == "1" ? .validation : .test }
        }
        notes.append("`\(title)` names no splits and is not used")
        return table.rows.map { _ in nil }
    }
}
