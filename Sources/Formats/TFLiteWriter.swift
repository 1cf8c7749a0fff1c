// TensorFlow Lite models as they are written.

package import GraftSchemas
import GraftSystem
import GraftTensors

extension TFLiteFile {
    /// The version of the schema.
    private static let version: UInt32 = 3
    /// The name of the file of labels in the archive behind the model.
    private static let labelFile = "labels.txt"

    /// Writes a model to `path`, atomically; what tasks need to know of it is in its metadata.
    ///
    /// - Throws: ``FormatError/unwritable(path:_:)`` if it is larger than the format can hold.
    package static func write(_ model: TFLiteModel, to path: String) throws {
        var buffers: [FlatValue] = [.table([:])]
        var metadata: [FlatValue] = []
        func blob(_ name: String, holding bytes: [UInt8]) {
            metadata.append(
                .table([0: .text(name), 1: .integer(Int32(buffers.count))]))
            buffers.append(.table([0: .bytes(bytes)]))
        }
        let tensors = model.tensors.map { entry -> FlatValue in
            guard let numbers = entry.numbers else { return tensor(entry, buffer: 0) }
            buffers.append(.table([0: .tensor(numbers)]))
            return tensor(entry, buffer: buffers.count - 1)
        }
        blob(
            "min_runtime_version", holding: Array("1.14.0".utf8) + [UInt8](repeating: 0, count: 10))
        blob(TFLiteMetadataReader.name, holding: try description(of: model))
        if !model.properties.isEmpty {
            let members = model.properties.sorted { $0.key < $1.key }.map {
                "\($0.key.jsonQuoted):\($0.value.jsonQuoted)"
            }
            blob(
                TFLiteModel.propertiesName,
                holding: Array("{\(members.joined(separator: ","))}".utf8))
        }
        var types: [String] = []
        let steps = model.steps.map { step -> FlatValue in
            if !types.contains(step.type) { types.append(step.type) }
            return Self.step(step, code: types.firstIndex(of: step.type) ?? 0)
        }
        let graph: FlatValue = .table([
            0: .tables(tensors), 1: .integers(model.inputs.map { Int32($0.tensor) }),
            2: .integers(model.outputs.map { Int32($0.tensor) }), 3: .tables(steps),
            4: .text("main"),
        ])
        func ports(_ ports: [TFLiteModel.Port]) -> FlatValue {
            .tables(
                ports.map { .table([0: .text($0.name), 1: .integer(Int32($0.tensor))]) })
        }
        let writer = FlatBufferWriter(
            root: [
                0: .integer(Int32(version)),
                1: .tables(types.map { code(of: $0, in: model) }), 2: .tables([graph]),
                3: .text(model.description ?? ""), 4: .tables(buffers), 6: .tables(metadata),
                7: .tables([
                    .table([
                        0: ports(model.inputs), 1: ports(model.outputs),
                        2: .text("serving_default"), 4: .integer(0),
                    ])
                ]),
            ], identifier: "TFL3")
        guard writer.byteCount < FlatBufferWriter.maximumByteCount else {
            throw FormatError.unwritable(path: path, .largeFlatBuffer(byteCount: writer.byteCount))
        }
        var file = try AtomicFile(replacing: path)
        try writer.write { try file.write($0) }
        if !model.metadata.labels.isEmpty {
            let text = model.metadata.labels.joined(separator: "\n")
            try file.write(
                StoredArchive.bytes(
                    of: Array(text.utf8), named: labelFile, at: writer.byteCount))
        }
        try file.commit(durably: false)
    }

    private static func tensor(_ entry: TFLiteModel.Entry, buffer: Int) -> FlatValue {
        var fields: [Int: FlatValue] = [
            0: .integers(entry.shape.map { Int32($0) }), 2: .integer(Int32(buffer)),
            3: .text(entry.name), 1: .byte(code(of: entry.dtype)),
        ]
        if entry.isBatched, !entry.shape.isEmpty {
            fields[7] = .integers([-1] + entry.shape.dropFirst().map { Int32($0) })
        }
        if let quantization = entry.quantization {
            fields[4] = .table([
                2: .numbers(quantization.scales),
                3: .longs(quantization.zeroPoints.map { Int64($0) }),
                6: .integer(Int32(quantization.axis)),
            ])
        }
        return .table(fields)
    }

    /// The schema's number of a type that graft writes.
    private static func code(of dtype: DType?) -> Int8 {
        switch dtype {
        case .f16: 1
        case .i32: 2
        case .u8: 3
        case .i64: 4
        case .bool: 6
        case .i16: 7
        case .i8: 9
        default: 0
        }
    }

    private static func code(of type: String, in model: TFLiteModel) -> FlatValue {
        let number = TFLiteOperatorSchema.codes[type] ?? 0
        // Codes of 127 and more do not fit the byte that they had of old.
        return .table([
            0: .byte(Int8(min(number, 127))), 2: .integer(version(of: type)),
            3: .integer(Int32(number)),
        ])
    }

    /// The version of an operator that has what graft writes.
    private static func version(of type: String) -> Int32 {
        switch type {
        case "DEQUANTIZE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR": 3
        case "FULLY_CONNECTED": 5
        case "BROADCAST_TO": 2
        case "TRANSPOSE_CONV": 3
        default: 1
        }
    }

    private static func step(_ step: TFLiteModel.Step, code: Int) -> FlatValue {
        let schema = TFLiteOperatorSchema.of(step.type)
        var options: [Int: FlatValue] = [:]
        for field in schema.fields {
            let value = step.options.integers[field.name]
            switch field.kind {
            case .byte, .flag: if let value { options[field.number] = .byte(Int8(value)) }
            case .integer: if let value { options[field.number] = .integer(Int32(value)) }
            case .number:
                if let number = step.options.numbers[field.name] {
                    options[field.number] = .number(number)
                }
            case .list:
                if let list = step.options.lists[field.name] {
                    options[field.number] = .integers(list.map { Int32($0) })
                }
            }
        }
        var fields: [Int: FlatValue] = [
            0: .integer(Int32(code)), 1: .integers(step.inputs.map { Int32($0) }),
            2: .integers(step.outputs.map { Int32($0) }),
        ]
        if schema.table != 0 {
            fields[3] = .byte(Int8(bitPattern: schema.table))
            fields[4] = .table(options)
        }
        return .table(fields)
    }

    /// The description of images and answers that TensorFlow Lite's and MediaPipe's tasks read.
    private static func description(of model: TFLiteModel) throws -> [UInt8] {
        let metadata = model.metadata
        var image: [Int: FlatValue] = [
            0: .text(model.inputs.first?.name ?? "image"),
            1: .text("an image, red first"),
            // ImageProperties of RGB.
            3: .table([0: .byte(2), 1: .table([0: .byte(1)])]),
        ]
        if !metadata.mean.isEmpty {
            image[4] = .tables([
                .table([
                    0: .byte(1),
                    1: .table([
                        0: .numbers(metadata.mean), 1: .numbers(metadata.deviation),
                    ]),
                ])
            ])
            let low = zip(metadata.mean, metadata.deviation).map { -$0 / $1 }
            let high = zip(metadata.mean, metadata.deviation).map { (255 - $0) / $1 }
            image[5] = .table([0: .numbers(high), 1: .numbers(low)])
        }
        var answer: [Int: FlatValue] = [
            0: .text(model.outputs.first?.name ?? "output"),
            3: .table([0: .byte(1), 1: .table([:])]),
        ]
        if !metadata.labels.isEmpty {
            answer[6] = .tables([
                .table([
                    0: .text(labelFile), 1: .text("the names of the classes"), 2: .byte(2),
                ])
            ])
        }
        let root: [Int: FlatValue] = [
            0: .text(metadata.name),
            3: .tables([
                .table([
                    2: .tables(model.inputs.map { _ in .table(image) }),
                    3: .tables(
                        model.outputs.enumerated().map { index, port in
                            .table(index == 0 ? answer : [0: .text(port.name)])
                        }),
                ])
            ]),
            4: .text(metadata.author), 5: .text(metadata.licence), 7: .text("1.0.0"),
        ]
        return try FlatBufferWriter(root: root, identifier: "M001").all()
    }
}
