// The keys of a graph in the native file, and the version of its format.
//
// Version 1 has one input of images and the operations of graft 0.1; it names no version. Version 2 has inputs of any
// type, operations of any rank, nodes of several values, and weights that several nodes read.

extension Graph: Codable {
    /// The newest version of the format that this program reads.
    public static let newestFormatVersion = 2

    /// The version of the format that this graph needs: 1 if that can say all of it.
    public var formatVersion: Int {
        let isSimple =
            inputCount <= 1 && outputs.isEmpty
            && nodes.allSatisfy { $0.reads.allSatisfy { $0.output == 0 } }
            && parameters.count == nodes.reduce(0) { $0 + $1.parameters.count }
        return nodes.reduce(isSimple ? 1 : 2) { Swift.max($0, $1.op.rule.formatVersion) }
    }

    private enum CodingKeys: String, CodingKey {
        case version, name, nodes, output, features, logits, naming, outputs
    }

    /// Reads a graph of any version up to the newest.
    ///
    /// - Throws: `NetworkError.formatVersion` if a newer graft wrote it.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let version = try container.decodeIfPresent(Int.self, forKey: .version) ?? 1
        guard 1...Self.newestFormatVersion ~= version else {
            throw NetworkError.formatVersion(version, newest: Self.newestFormatVersion)
        }
        self.init(
            name: try container.decode(String.self, forKey: .name),
            nodes: try container.decode([Node].self, forKey: .nodes),
            output: try container.decode(Int.self, forKey: .output),
            features: try container.decode(Int.self, forKey: .features),
            logits: try container.decodeIfPresent(Int.self, forKey: .logits),
            naming: try container.decode(Naming.self, forKey: .naming))
        outputs = try container.decodeIfPresent([NamedOutput].self, forKey: .outputs) ?? []
    }

    /// Writes the version that the graph needs; version 1 as graft 0.1 wrote it.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if formatVersion > 1 { try container.encode(formatVersion, forKey: .version) }
        try container.encode(name, forKey: .name)
        try container.encode(nodes, forKey: .nodes)
        try container.encode(output, forKey: .output)
        try container.encode(features, forKey: .features)
        try container.encodeIfPresent(logits, forKey: .logits)
        try container.encode(naming, forKey: .naming)
        if !outputs.isEmpty { try container.encode(outputs, forKey: .outputs) }
    }
}
