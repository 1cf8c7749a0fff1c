// Where a model's prepared weights are kept between runs.

internal import FoundationEssentials
internal import GraftCache
public import GraftExecution
internal import GraftFormats
internal import GraftNetworks

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

extension Model {
    /// The model, knowing the file that its weights were read from.
    func read(from path: String) -> Model {
        var model = self
        // What an index names may change while the index does not.
        switch try? Checkpoint.kind(of: path) {
        case nil, .shards, .tensorflow: model.file = nil
        default: model.file = Files.absolute(path)
        }
        return model
    }

    /// The options with the ranges of the model's values and with a place for prepared weights, where
    /// the weights are those of a file and there is a folder to keep them in.
    public func planned(_ options: ExecutionOptions) -> ExecutionOptions {
        var options = options
        options.ranges = ranges
        var status = stat()
        guard options.planFile == nil, let file, let folder = options.memory?.folder,
            stat(file, &status) == 0, (try? Files.makeFolder(folder)) != nil
        else { return options }
        // One file for a model at a place and a network: what is there anew replaces what was.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in "\(file)\n\(graph.name)".utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
        }
        let name = graph.name.map { $0.isLetter || $0.isNumber ? $0 : "-" }
        options.planFile = PlanFilePlace(
            path: "\(folder)/\(String(name.prefix(60)))-\(String(hash, radix: 16)).plan",
            identity: "\(file) \(status.st_dev) \(status.st_ino) \(status.st_size) "
                + "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) "
                + "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec) \(graph.name)")
        return options
    }
}
