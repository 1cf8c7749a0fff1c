// Levels and values put together to one value per row, as Dremel's paper has it (VLDB 2010).

/// Builds the rows of one column from its pages.
struct RecordBuilder {
    let column: ParquetColumn
    private(set) var rows: [ParquetValue] = []
    /// The lists that are open, from the outside.
    private var open: [[ParquetValue]] = []
    private var pending: ParquetValue?

    init(_ column: ParquetColumn) { self.column = column }

    /// Adds a page; `limit` is the most rows that there may be.
    mutating func add(_ page: ColumnPage, limit: Int) throws(ParquetFlaw) {
        var values = page.values.makeIterator()
        let maximum = column.maximumDefinition
        for entry in 0..<page.entryCount {
            let definition = maximum == 0 ? 0 : Int(page.definitions[entry])
            let value = definition == maximum ? values.next() ?? .null : .null
            guard column.listDepth > 0 else {
                rows.append(value)
                continue
            }
            try add(
                value, repetition: Int(page.repetitions[entry]), definition: definition)
        }
        guard rows.count <= limit else { throw .valueCount(expected: limit, found: rows.count) }
    }

    private mutating func add(_ value: ParquetValue, repetition: Int, definition: Int)
        throws(ParquetFlaw)
    {
        if repetition == 0 {
            flush()
        } else {
            guard repetition <= open.count else { throw .level(repetition, limit: open.count) }
            close(to: repetition)
        }
        let depth = column.listDefinitions.count { definition >= $0 }
        guard depth >= repetition else { throw .level(repetition, limit: depth) }
        while open.count < depth { open.append([]) }
        guard depth < column.listDepth else {
            open[depth - 1].append(value)
            return
        }
        // The next list is empty, or is not there.
        let isEmpty = definition == column.listDefinitions[depth] - 1
        let element = isEmpty ? ParquetValue.list([]) : .null
        if depth == 0 { pending = element } else { open[depth - 1].append(element) }
    }

    /// Closes lists until `count` are open.
    private mutating func close(to count: Int) {
        while open.count > count {
            let list = ParquetValue.list(open.removeLast())
            if open.isEmpty { pending = list } else { open[open.count - 1].append(list) }
        }
    }

    /// Ends the row that is being built, if there is one.
    private mutating func flush() {
        close(to: 0)
        if let row = pending { rows.append(row) }
        pending = nil
    }

    /// Ends the last row and gives all, which must be `count`.
    mutating func finish(count: Int) throws(ParquetFlaw) -> [ParquetValue] {
        flush()
        guard rows.count == count else { throw .valueCount(expected: count, found: rows.count) }
        return rows
    }
}
