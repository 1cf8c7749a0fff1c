// What `graft bench --tune` measured on this machine, kept in the cache's folder.

internal import FoundationEssentials
internal import GraftCache
public import GraftExecution
internal import Synchronization

/// The fastest code for each convolution that was measured on this kind of processor: a JSON object
/// in `plans/<processor>.json` of the cache's folder, one file for all models.
public final class MeasuredChoices: PlanMemory {
    private let path: String
    /// Whether plans measure what is not known yet.
    public let measures: Bool
    private let known: Mutex<[String: String]>

    /// The choices for this machine, below `cacheFolder`; what cannot be read counts as not measured.
    public init(cacheFolder: String, measures: Bool = false) {
        path = "\(cacheFolder)/plans/\(Self.processor).json"
        self.measures = measures
        let found = Self.read(path)
        known = Mutex(found)
        if !found.isEmpty { Cache(root: cacheFolder).recordUse(of: path) }
    }

    /// The choice for a convolution, if it was measured.
    public func choice(for key: String) -> String? { known.withLock { $0[key] } }

    /// Keeps a choice, with those that another process has made meanwhile. A folder that cannot be
    /// written to costs a later process the measurement and nothing else.
    public func remember(_ choice: String, for key: String) {
        known.withLock { known in
            known.merge(Self.read(path)) { mine, _ in mine }
            known[key] = choice
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
            guard let slash = path.lastIndex(of: "/"),
                let data = try? encoder.encode(known),
                (try? Files.makeFolder(String(path[..<slash]))) != nil
            else { return }
            try? Files.write(Array(data), to: path)
        }
    }

    /// Where plan files are.
    public var folder: String? {
        path.lastIndex(of: "/").map { String(path[..<$0]) }
    }

    /// The processor's name as a file can have it.
    private static var processor: String {
        let line = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
            .split(separator: "\n").filter {
                ["model", "model name", "cpu family", "stepping"].contains(
                    $0.prefix { $0 != ":" && $0 != "\t" })
            }.prefix(4).map { $0.split(separator: ":").last ?? "" }.joined()
        let name = (line ?? "").drop { $0 == " " }.lowercased()
            .map { $0.isLetter || $0.isNumber ? $0 : "-" }
        return name.isEmpty ? "unknown" : String(name.prefix(100)).filter { $0.isASCII }
    }

    private static func read(_ path: String) -> [String: String] {
        guard let bytes = Files.read(path, limit: 1 << 22) else { return [:] }
        return (try? JSONDecoder().decode([String: String].self, from: Data(bytes))) ?? [:]
    }
}
