// The columns of a Parquet file: the leaves of its schema, with the names that a person gives them.

/// A column: a leaf of the schema.
package struct ParquetColumn: Sendable, Hashable {
    /// Its names from the root, without the wrappers of lists: `image.bytes`, `objects.bbox`.
    package let name: String
    /// Its physical type.
    package let type: ParquetType
    /// Whether its bytes are text.
    package let isText: Bool
    /// The number of lists around its values.
    package let listDepth: Int
    /// The bytes of a value of fixed length.
    let typeLength: Int
    let isUnsigned: Bool
    let isHalf: Bool
    let scale: Int?
    /// The definition level of a value that is there.
    let maximumDefinition: Int
    /// For each list around it, from the outside, the definition level of an element.
    let listDefinitions: [Int]
}

extension ParquetColumn {
    /// More than any table of images has.
    static let maximumCount = 10_000
    private static let maximumDepth = 64

    /// The leaves of a schema in depth-first order.
    static func leaves(of schema: [SchemaElement]) throws(ParquetFlaw) -> [ParquetColumn] {
        guard let root = schema.first else { throw .missingField("schema") }
        var columns: [ParquetColumn] = []
        var at = 1
        for _ in 0..<root.childCount {
            try add(
                schema, at: &at,
                below: Path(names: [], definition: 0, lists: [], isInList: false, depth: 1),
                to: &columns)
        }
        guard at == schema.count else { throw .brokenSchema(element: at) }
        return columns
    }

    /// What is known of an element's ancestors.
    private struct Path {
        var names: [String]
        var definition: Int
        var lists: [Int]
        /// Whether the parent is annotated as a list.
        var isInList: Bool
        var depth: Int
        /// Whether the parent is the repeated group of such a list.
        var isElement = false
    }

    private static func add(
        _ schema: [SchemaElement], at: inout Int, below above: Path,
        to columns: inout [ParquetColumn]
    ) throws(ParquetFlaw) {
        guard at < schema.count, above.depth < maximumDepth else {
            throw .brokenSchema(element: at)
        }
        let element = schema[at]
        at += 1
        var path = above
        path.depth += 1
        if element.repetition > 0 { path.definition += 1 }
        if element.repetition == 2 { path.lists.append(path.definition) }
        // `bbox (LIST) → list (repeated) → element`: the last two names are the format's own.
        let isWrapper = above.isInList && element.repetition == 2
        path.isElement = isWrapper && element.childCount == 1
        path.isInList = element.isList
        if !isWrapper && !above.isElement { path.names.append(element.name) }
        guard element.type == nil else {
            guard element.childCount == 0, let type = element.type else {
                throw .brokenSchema(element: at - 1)
            }
            guard columns.count < maximumCount else {
                throw .tooMany("columns", found: columns.count + 1, limit: maximumCount)
            }
            let length = type == .int96 ? 12 : element.typeLength
            if type == .fixedLengthByteArray, !(1...(1 << 20)).contains(length) {
                throw .outOfRange("type_length", found: length)
            }
            columns.append(
                ParquetColumn(
                    name: path.names.joined(separator: "."), type: type, isText: element.isText,
                    listDepth: path.lists.count, typeLength: length,
                    isUnsigned: element.isUnsigned, isHalf: element.isHalf,
                    scale: element.scale, maximumDefinition: path.definition,
                    listDefinitions: path.lists))
            return
        }
        for _ in 0..<element.childCount { try add(schema, at: &at, below: path, to: &columns) }
    }
}
