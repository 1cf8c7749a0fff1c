// Who hears what opening weights decided, and what a file beside them says when no network fits.

internal import FoundationEssentials
internal import GraftArchitectures
internal import GraftRegistry
public import GraftTensors
internal import Synchronization

extension Models {
    private static let listener = Mutex<(@Sendable (Remark) -> Void)?>(nil)

    /// Sets who hears of each decision that opening weights made: a prefix that was removed, a
    /// head or other tensors that were left out, one of several state dicts. By default nobody does.
    public static func onRemark(_ body: @escaping @Sendable (Remark) -> Void) {
        listener.withLock { $0 = body }
    }

    static func announce(_ remarks: [Remark]) {
        guard let listener = listener.withLock({ $0 }) else { return }
        for remark in remarks { listener(remark) }
    }

    /// Refuses the name of an architecture that the registry lists and graft has no code for.
    static func requireBuiltIn(_ name: String) throws {
        do {
            _ = try Architectures.named(name)
        } catch {
            guard case .unknown = error, (try? Registry.find(name)) != nil else { throw error }
            throw ArchitectureError.notBuiltIn(name, source: "the registry")
        }
    }

    /// Refuses a row of the registry whose file holds weights alone, of a network without code.
    static func requireNetwork(of entry: RegistryEntry) throws {
        let weightsAlone = [".safetensors", ".pth", ".pt", ".bin", ".npz"]
        guard entry.architecture == nil, weightsAlone.contains(where: entry.url.hasSuffix) else {
            return
        }
        let name = entry.name.prefix { $0 != ":" }
        throw ArchitectureError.notBuiltIn(String(name), source: "the registry")
    }

    /// What `open` gives for weights at `path`; where no network fits, the error names the one that
    /// a `config.json` beside them names.
    static func explained<T>(_ path: String, _ open: () throws -> T) throws -> T {
        do {
            return try open()
        } catch let error as ArchitectureError {
            guard case .unidentified = error, let name = configuredNetwork(beside: path) else {
                throw error
            }
            throw ArchitectureError.notBuiltIn(name, source: "config.json")
        }
    }

    private struct Configuration: Decodable {
        /// timm's name of the network.
        let architecture: String?
        /// The classes of transformers that load it.
        let architectures: [String]?
        let model_type: String?
    }

    private static func configuredNetwork(beside path: String) -> String? {
        let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
        guard let storage = try? Storage(mapping: folder + "config.json"),
            storage.byteCount <= 1 << 20
        else { return nil }
        let data = storage.withBytes { Data($0) }
        guard let found = try? JSONDecoder().decode(Configuration.self, from: data) else {
            return nil
        }
        return found.architecture ?? found.architectures?.first ?? found.model_type
    }
}
