// Operations in the native file: an object of one key, the name of the operation.

extension Op: Codable {
    /// The name of an operation as a key.
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private typealias Reader =
        @Sendable (KeyedDecodingContainer<Name>, Name) throws -> Op

    /// How an operation of each name is read; the names are for ever.
    private static let readers: [String: Reader] = [
        Input.name: { .input(try $0.decode(Input.self, forKey: $1)) },
        Conv2d.name: { .conv2d(try $0.decode(Conv2d.self, forKey: $1)) },
        ConvTranspose2d.name: { .convTranspose2d(try $0.decode(ConvTranspose2d.self, forKey: $1)) },
        BatchNorm.name: { .batchNorm(try $0.decode(BatchNorm.self, forKey: $1)) },
        LayerNorm.name: { .layerNorm(try $0.decode(LayerNorm.self, forKey: $1)) },
        Linear.name: { .linear(try $0.decode(Linear.self, forKey: $1)) },
        Activate.name: { .activation(try $0.decode(Activate.self, forKey: $1)) },
        MaxPool.name: { .maxPool(try $0.decode(MaxPool.self, forKey: $1)) },
        AveragePool.name: { .averagePool(try $0.decode(AveragePool.self, forKey: $1)) },
        GlobalAveragePool.name: {
            .globalAveragePool(try $0.decode(GlobalAveragePool.self, forKey: $1))
        },
        GlobalMaxPool.name: { .globalMaxPool(try $0.decode(GlobalMaxPool.self, forKey: $1)) },
        AdaptiveAveragePool.name: {
            .adaptiveAveragePool(try $0.decode(AdaptiveAveragePool.self, forKey: $1))
        },
        Add.name: { .add(try $0.decode(Add.self, forKey: $1)) },
        Multiply.name: { .multiply(try $0.decode(Multiply.self, forKey: $1)) },
        Concatenate.name: { .concatenate(try $0.decode(Concatenate.self, forKey: $1)) },
        Slice.name: { .slice(try $0.decode(Slice.self, forKey: $1)) },
        Flatten.name: { .flatten(try $0.decode(Flatten.self, forKey: $1)) },
        Reshape.name: { .reshape(try $0.decode(Reshape.self, forKey: $1)) },
        Pad.name: { .pad(try $0.decode(Pad.self, forKey: $1)) },
        Upsample.name: { .upsample(try $0.decode(Upsample.self, forKey: $1)) },
        ChannelShuffle.name: { .channelShuffle(try $0.decode(ChannelShuffle.self, forKey: $1)) },
        Affine.name: { .affine(try $0.decode(Affine.self, forKey: $1)) },
        ChannelScale.name: { .channelScale(try $0.decode(ChannelScale.self, forKey: $1)) },
        Dropout.name: { .dropout(try $0.decode(Dropout.self, forKey: $1)) },
        DropPath.name: { .dropPath(try $0.decode(DropPath.self, forKey: $1)) },
        Softmax.name: { .softmax(try $0.decode(Softmax.self, forKey: $1)) },
        UnitNorm.name: { .unitNorm(try $0.decode(UnitNorm.self, forKey: $1)) },
        ParameterValue.name: { .parameter(try $0.decode(ParameterValue.self, forKey: $1)) },
        MatMul.name: { .matMul(try $0.decode(MatMul.self, forKey: $1)) },
        Transpose.name: { .transpose(try $0.decode(Transpose.self, forKey: $1)) },
        View.name: { .view(try $0.decode(View.self, forKey: $1)) },
        Expand.name: { .expand(try $0.decode(Expand.self, forKey: $1)) },
        Elementwise.name: { .elementwise(try $0.decode(Elementwise.self, forKey: $1)) },
        Binary.name: { .binary(try $0.decode(Binary.self, forKey: $1)) },
        Reduce.name: { .reduce(try $0.decode(Reduce.self, forKey: $1)) },
        GroupNorm.name: { .groupNorm(try $0.decode(GroupNorm.self, forKey: $1)) },
        LocalResponseNorm.name: {
            .localResponseNorm(try $0.decode(LocalResponseNorm.self, forKey: $1))
        },
        PadAxes.name: { .padAxes(try $0.decode(PadAxes.self, forKey: $1)) },
        Resize.name: { .resize(try $0.decode(Resize.self, forKey: $1)) },
        Split.name: { .split(try $0.decode(Split.self, forKey: $1)) },
        Gather.name: { .gather(try $0.decode(Gather.self, forKey: $1)) },
        Compare.name: { .compare(try $0.decode(Compare.self, forKey: $1)) },
        Where.name: { .where(try $0.decode(Where.self, forKey: $1)) },
        Cast.name: { .cast(try $0.decode(Cast.self, forKey: $1)) },
        TopK.name: { .topK(try $0.decode(TopK.self, forKey: $1)) },
        ArgExtreme.name: { .argExtreme(try $0.decode(ArgExtreme.self, forKey: $1)) },
        Take.name: { .take(try $0.decode(Take.self, forKey: $1)) },
        Attention.name: { .attention(try $0.decode(Attention.self, forKey: $1)) },
        GatherElements.name: { .gatherElements(try $0.decode(GatherElements.self, forKey: $1)) },
        GatherND.name: { .gatherND(try $0.decode(GatherND.self, forKey: $1)) },
        ScatterElements.name: { .scatterElements(try $0.decode(ScatterElements.self, forKey: $1)) },
        ScatterND.name: { .scatterND(try $0.decode(ScatterND.self, forKey: $1)) },
        Cumulate.name: { .cumulate(try $0.decode(Cumulate.self, forKey: $1)) },
        GridSample.name: { .gridSample(try $0.decode(GridSample.self, forKey: $1)) },
        RoIAlign.name: { .roiAlign(try $0.decode(RoIAlign.self, forKey: $1)) },
        PoolAxes.name: { .poolAxes(try $0.decode(PoolAxes.self, forKey: $1)) },
    ]

    /// Reads `{"conv2d": {…}}`.
    ///
    /// - Throws: `DecodingError` if there is not exactly one known operation.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Name.self)
        guard container.allKeys.count == 1, let name = container.allKeys.first,
            let read = Self.readers[name.stringValue]
        else {
            let names = container.allKeys.map(\.stringValue).sorted()
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription: "expected one known operation, found \(names)"))
        }
        self = try read(container, name)
    }

    /// Writes `{"conv2d": {…}}`.
    public func encode(to encoder: any Encoder) throws {
        func write<Rule: OpRule>(_ rule: Rule) throws {
            var container = encoder.container(keyedBy: Name.self)
            try container.encode(rule, forKey: Name(stringValue: Rule.name))
        }
        try write(rule)
    }
}
