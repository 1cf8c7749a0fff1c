// How graft speaks: answers on stdout, everything else on stderr, colour and bars only on a terminal.

import Glibc
import GraftTensors
import GraftTraining
import Synchronization

/// The two streams of the process.
enum Terminal {
    /// Whether a person watches stderr.
    static let isInteractive = isatty(STDERR_FILENO) == 1 && !term.isEmpty && term != "dumb"
    /// Whether stderr may be coloured (https://no-color.org).
    static let usesColour = isInteractive && variable("NO_COLOR").isEmpty
    private static let term = variable("TERM")

    static func variable(_ name: String) -> String {
        getenv(name).map { String(cString: $0) } ?? ""
    }

    /// The columns of the terminal, 80 where there is none.
    static var width: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else {
            return 80
        }
        return Int(size.ws_col)
    }

    /// The columns of the terminal that shows the answer; nil where a file or a program reads it.
    static var answerWidth: Int? {
        var size = winsize()
        guard isatty(STDOUT_FILENO) == 1, ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0
        else { return nil }
        return size.ws_col > 20 ? Int(size.ws_col) : nil
    }

    /// Writes the answer to stdout, as a line; as it is, unless a person watches. An answer that cannot
    /// be written ends the process: there is nothing left to do. (A closed pipe ends it before, by
    /// SIGPIPE.)
    static func answer(_ text: String) { answer(text, terminator: "\n") }

    /// Writes a part of the answer to stdout, with what ends it.
    static func answer(_ text: String, terminator: String) {
        wipe()
        let text = (isatty(STDOUT_FILENO) == 1 ? harmless(text) : text) + terminator
        guard let code = write(text, to: STDOUT_FILENO) else { return }
        unwritable(code)
    }

    /// Ends the process with the error that stdout cannot be written, unless it was a closed pipe.
    static func unwritable(_ code: Int32) -> Never {
        if code == EPIPE { exit(128 + SIGPIPE) }
        report(FileError("write to", "stdout", code: code))
        exit(1)
    }

    /// Writes a remark to stderr, as a line.
    static func say(_ text: String) {
        wipe()
        write(harmless(text) + "\n", to: STDERR_FILENO)
    }

    /// Whether the current line of stderr holds what ``redraw(_:)`` put there.
    private static let isDrawn = Mutex(false)

    /// Makes room for a whole line.
    private static func wipe() {
        let was = isDrawn.withLock { drawn in
            defer { drawn = false }
            return drawn
        }
        if was { write("\r\u{1B}[K", to: STDERR_FILENO) }
    }

    /// The text with what would steer a terminal written out: names in files are a stranger's.
    static func harmless(_ text: String) -> String {
        func steers(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.generalCategory == .control && scalar != "\n" && scalar != "\t"
        }
        guard text.unicodeScalars.contains(where: steers) else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            if steers(scalar) {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }

    /// Writes an error and its hint to stderr.
    static func report(_ diagnostic: any Diagnostic) {
        wipe()
        let (red, cyan, plain) =
            usesColour ? ("\u{1B}[31m", "\u{1B}[36m", "\u{1B}[0m") : ("", "", "")
        func line(_ colour: String, _ word: String, _ text: String) {
            write("\(colour)\(word):\(plain) \(harmless(text))\n", to: STDERR_FILENO)
        }
        line(red, "error", DataArchive.shown(diagnostic.message))
        if let hint = diagnostic.hint { line(cyan, "hint", DataArchive.shown(hint)) }
    }

    /// Redraws the current line of stderr; nothing where nobody watches.
    static func redraw(_ text: String) {
        guard isInteractive else { return }
        isDrawn.withLock { $0 = !text.isEmpty }
        write("\r\u{1B}[K" + harmless(text).prefix(width - 1), to: STDERR_FILENO)
    }

    /// A bar such as `name  [=====>    ] 45 % 12 MB of 27 MB`.
    static func bar(_ name: String, done: Int, of total: Int, detail: String) -> String {
        let cells = 24
        let share = total > 0 ? min(1, Double(max(done, 0)) / Double(total)) : 0
        let full = Int(share * Double(cells))
        let bar = String(repeating: "█", count: full) + String(repeating: "░", count: cells - full)
        let percent = Int(share * 100 + 1e-9)
        return "\(name)  \(bar) \(percent) %  \(detail)"
    }

    /// What went wrong, if something did.
    @discardableResult
    private static func write(_ text: String, to descriptor: Int32) -> Int32? {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else { return count == 0 ? EIO : errno }
            bytes = bytes.dropFirst(max(count, 0))
        }
        return nil
    }
}

/// Rows under headings, columns aligned, numbers to the right.
struct Table {
    private let headings: [String]
    private let numeric: Set<Int>
    private var rows: [[String]] = []

    /// A table; `numeric` are the columns that align to the right.
    init(_ headings: [String], numeric: Set<Int> = []) {
        self.headings = headings
        self.numeric = numeric
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String { text(fitting: nil) }

    /// The table on `limit` columns: what is too long for the first column gets a line of its own, above
    /// its other cells.
    func text(fitting limit: Int?) -> String {
        let all = [headings] + rows
        var widths = headings.indices.map { column in all.map { width($0[column]) }.max() ?? 0 }
        let rest = widths.dropFirst().reduce(0) { $0 + $1 + 2 }
        if let limit { widths[0] = min(widths[0], max(limit - rest, headings[0].count, 16)) }
        return all.map { row in
            var (row, line) = (row, "")
            if width(row[0]) > widths[0] {
                // Nothing to say of it needs no line.
                if row.dropFirst().allSatisfy({ $0 == "–" || $0.isEmpty }) { return row[0] }
                line = row[0] + "\n"
                row[0] = ""
            }
            for (column, cell) in row.enumerated() {
                let gap = String(repeating: " ", count: widths[column] - width(cell))
                line +=
                    (column == 0 ? "" : "  ") + (numeric.contains(column) ? gap + cell : cell + gap)
            }
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }

    /// The columns that a cell takes: plain text, which most is, need not be taken apart.
    private func width(_ cell: String) -> Int {
        cell.utf8.allSatisfy { $0 < 0x80 } ? cell.utf8.count : cell.count
    }
}

/// Bytes for people, powers of 1000: `97.8 MB`.
func readableBytes(_ count: Int) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"]
    var value = Double(count)
    var unit = 0
    while value >= 999.95, unit < units.count - 1 {
        value /= 1000
        unit += 1
    }
    guard unit > 0 else { return "\(count) B" }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
}

/// A number with a fixed count of decimals: `0.862`.
func decimals(_ value: some BinaryFloatingPoint, _ places: Int) -> String {
    guard value.isFinite, value.magnitude < 1e9 else { return "\(Float(value))" }
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (Double(value) * scale).rounded()
    // More digits than a number has: a loss that blew up.
    guard scaled.magnitude < 1e15 else { return "\(value)" }
    let digits = String(Int(scaled.magnitude))
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    let split = padded.index(padded.endIndex, offsetBy: -places)
    return (scaled < 0 ? "-" : "") + padded[..<split] + (places > 0 ? "." + padded[split...] : "")
}
