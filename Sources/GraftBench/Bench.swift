// The helper that every measured path uses: warm, for a second, by turns with the plain way.

import Glibc

/// Measures code: `try bench("name") { … }`.
struct Bench {
    /// What is measured: paths whose name contains one of these words; all if there are none.
    let words: [String]
    /// How long a path is measured.
    let seconds: Double

    /// Warms up, runs `body` for ``seconds``, and prints best, median and runs.
    ///
    /// - Parameters:
    ///   - plain: the obvious way to the same result; it takes turns with `body`, and the median of
    ///     the turns' ratios is printed.
    ///   - bytes: how many bytes a run goes through, for a rate.
    func callAsFunction(
        _ name: String, plain: (name: String, run: () throws -> Void)? = nil, bytes: Int? = nil,
        _ body: () throws -> Void
    ) throws {
        guard words.isEmpty || words.contains(where: name.contains) else { return }
        try body()
        try plain?.run()
        var times: [Double] = []
        var ratios: [Double] = []
        let start = ContinuousClock.now
        repeat {
            let time = try milliseconds(body)
            times.append(time)
            if let plain { ratios.append(try milliseconds(plain.run) / time) }
        } while times.count < 3 || (ContinuousClock.now - start) / .seconds(1) < seconds
        times.sort()
        let median = times[times.count / 2]
        var line =
            "\(name): best \(text(times[0])) ms, median \(text(median)) ms, \(times.count) runs"
        if let bytes { line += ", \(text(Double(bytes) / median / 1e6)) GB/s" }
        if let plain {
            ratios.sort()
            line += ", \(text(ratios[ratios.count / 2]))x as fast as \(plain.name)"
        }
        print(line)
        fflush(nil)  // a line is seen when it is measured, also in a pipe
    }

    private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        return (ContinuousClock.now - start) / .milliseconds(1)
    }

    /// Three digits that count.
    private func text(_ value: Double) -> String {
        let places = value >= 100 ? 1.0 : value >= 1 ? 100.0 : 10_000.0
        return "\((value * places).rounded() / places)"
    }
}

/// Keeps a result alive, so that the compiler cannot leave out the work behind it.
@inline(never)
func keep<Value>(_ value: Value) {}

/// Numbers that are the same in every run.
func numbers(_ count: Int) -> [Float] {
    (0..<count).map { Float(($0 &* 31) % 257) / 128 - 1 }
}
