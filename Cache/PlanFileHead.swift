// The head of a file of prepared weights, as far as it tells a whole file from a damaged one.

import GraftSystem
import GraftTensors

/// `plans/*.plan`, which Execution writes: magic `GRAFTPL1`, then four little-endian numbers of 8 bytes:
/// entries, bytes of the table, bytes of the file, checksum of the table. Execution checks the checksum of
/// each entry when it uses it.
enum PlanFileHead {
    private static let size = 40

    /// What is wrong with the file at `path`; nil where nothing is.
    static func flaw(_ path: String) -> String? {
        guard let actual = Files.size(of: path) else { return "it cannot be read" }
        guard let head = Files.read(path, first: size), head.count == size else {
            return "expected a head of \(size) bytes, found a file of \(actual)"
        }
        guard head.starts(with: "GRAFTPL1".utf8) else {
            return "expected `GRAFTPL1` at its start, found something else"
        }
        func number(_ index: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(head[8 + index * 8 + $1]) << (8 * UInt64($1)) }
        }
        let (entries, table, bytes) = (number(0), number(1), number(2))
        guard bytes == UInt64(actual) else {
            return "expected \(bytes) bytes, found \(actual)"
        }
        // An entry takes at least its name's size, an offset, a size and a checksum in the table.
        guard table <= bytes - UInt64(size), entries <= table / 32 else {
            return "its table of \(table) bytes does not hold \(entries) entries"
        }
        return nil
    }
}
