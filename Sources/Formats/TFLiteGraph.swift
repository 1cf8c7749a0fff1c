// The graphs of TensorFlow Lite models.

package import GraftSchemas
package import GraftTensors

/// Reads the network of a `.tflite` file.
package enum TFLiteFile {
    /// The most steps of a graph, and settings of a step's list.
    static let maximumStepCount = 100_000

    /// The first graph of the model at `path`, its weights by the names that ``Checkpoint`` gives them.
    ///
    /// - Throws: ``FormatError`` where the bytes contradict the format.
    package static func model(at path: String, weights: StateDict) throws -> TFLiteModel {
        let storage = try Storage(mapping: path)
        return try model(
            storage, in: Source(path: path, format: "TFLite"), weights: weights)
    }

    /// Numbers of fields in schema.fbs.
    private enum Field {
        static let (operatorCodes, subgraphs, description, metadata, signatures) = (1, 2, 3, 6, 7)
        static let (inputs, outputs, steps) = (1, 2, 3)
        static let (oldCode, customCode, code) = (0, 1, 3)
        static let (codeIndex, stepInputs, stepOutputs) = (0, 1, 2)
        static let (optionsType, options, customOptions) = (3, 4, 5)
        static let (signatureInputs, signatureOutputs, signatureSubgraph) = (0, 1, 4)
        static let (portName, portTensor) = (0, 1)
        static let (zeroPoint, axis) = (3, 6)
        static let (shape, type, quantization, isVariable, signature) = (0, 1, 4, 5, 7)
    }

    static func model(
        _ storage: Storage, in source: Source, weights: StateDict
    ) throws -> TFLiteModel {
        try storage.withBytes { bytes in
            let root = try FlatTable(root: bytes, source)
            let subgraphs = try root.tables(Field.subgraphs)
            guard let graph = subgraphs.first else { throw source.malformed(.tflite(.noGraph)) }
            var model = TFLiteModel()
            model.description = try root.text(Field.description)
            model.graphCount = subgraphs.count
            try TFLite.walk(root, byteCount: bytes.count, in: source) { place in
                guard place.subgraph == 0 else { return }
                model.tensors.append(try entry(place, weights: weights))
            }
            let operators = try root.tables(Field.operatorCodes).map { try type(of: $0) }
            let steps = try graph.tables(Field.steps)
            guard steps.count <= maximumStepCount else {
                throw source.malformed(
                    .tflite(.steps(count: steps.count, limit: maximumStepCount)))
            }
            let count = model.tensors.count
            model.steps = try steps.map {
                try step($0, operators: operators, tensorCount: count, in: source)
            }
            let signature = try root.tables(Field.signatures).first {
                try $0.integer(Field.signatureSubgraph, UInt32(0)) == 0
            }
            func ports(_ field: Int, named: Int) throws -> [TFLiteModel.Port] {
                let tensors = try graph.integers(field, Int32.self).map { Int($0) }
                var names: [Int: String] = [:]
                for port in try signature?.tables(named) ?? [] {
                    names[Int(try port.integer(Field.portTensor, UInt32(0)))] =
                        try port.text(Field.portName)
                }
                return try tensors.map { tensor in
                    guard model.tensors.indices.contains(tensor) else {
                        throw source.malformed(.tflite(.noTensor(tensor, count: count)))
                    }
                    return .init(
                        name: names[tensor] ?? model.tensors[tensor].name, tensor: tensor)
                }
            }
            model.inputs = try ports(Field.inputs, named: Field.signatureInputs)
            model.outputs = try ports(Field.outputs, named: Field.signatureOutputs)
            if let range = try blob(
                TFLiteMetadataReader.name, of: root, byteCount: bytes.count, in: source)
            {
                model.metadata = try TFLiteMetadataReader.read(
                    UnsafeRawBufferPointer(rebasing: bytes[range]), of: storage, in: source)
            }
            let name = TFLiteModel.propertiesName
            if let range = try blob(name, of: root, byteCount: bytes.count, in: source) {
                let text = UnsafeRawBufferPointer(rebasing: bytes[range])
                let properties = try JSONTree(strictly: text, in: source)
                for member in properties.object?.members ?? [] {
                    model.properties[member.key] = member.value.string
                }
            }
            return model
        }
    }

    /// The name of an operator, builtin or custom.
    private static func type(of code: FlatTable) throws -> (name: String, isCustom: Bool) {
        // Codes below 127 stand in a byte, as of old.
        let old = Int(try code.integer(Field.oldCode, Int8(0)))
        let number = max(old, Int(try code.integer(Field.code, Int32(0))))
        let names = TFLiteOperatorSchema.names
        let name = names.indices.contains(number) ? names[number] : "operator \(number)"
        guard name == "CUSTOM" else { return (name, false) }
        return (try code.text(Field.customCode) ?? "", true)
    }

    private static func entry(
        _ place: TFLite.Place, weights: StateDict
    ) throws -> TFLiteModel.Entry {
        let table = place.table
        let shape = try table.integers(Field.shape, Int32.self).map { Int($0) }
        var entry = TFLiteModel.Entry(
            name: place.name, shape: shape,
            dtype: TFLite.dtype(try table.integer(Field.type, Int8(0))),
            numbers: place.range.isEmpty ? nil : weights[place.name])
        entry.isVariable = try table.integer(Field.isVariable, Int8(0)) != 0
        let signature = try table.integers(Field.signature, Int32.self)
        entry.isBatched = signature.first.map { $0 < 0 } ?? false
        guard let quantization = try table.table(Field.quantization) else { return entry }
        let scales = try quantization.integers(2, UInt32.self).map { Float(bitPattern: $0) }
        guard !scales.isEmpty else { return entry }
        var zeros = try quantization.integers(Field.zeroPoint, Int64.self).map {
            Int(clamping: $0)
        }
        if zeros.isEmpty { zeros = [Int](repeating: 0, count: scales.count) }
        if zeros.count == 1 { zeros = [Int](repeating: zeros[0], count: scales.count) }
        entry.quantization = .init(
            scales: scales, zeroPoints: zeros,
            axis: Int(try quantization.integer(Field.axis, Int32(0))))
        return entry
    }

    private static func step(
        _ table: FlatTable, operators: [(name: String, isCustom: Bool)],
        tensorCount count: Int, in source: Source
    ) throws -> TFLiteModel.Step {
        let index = Int(try table.integer(Field.codeIndex, UInt32(0)))
        guard operators.indices.contains(index) else {
            throw source.malformed(.tflite(.noOperator(index, count: operators.count)))
        }
        let inputs = try table.integers(Field.stepInputs, Int32.self).map { Int($0) }
        let outputs = try table.integers(Field.stepOutputs, Int32.self).map { Int($0) }
        for tensor in inputs where !(-1..<count).contains(tensor) {
            throw source.malformed(.tflite(.noTensor(tensor, count: count)))
        }
        for tensor in outputs where !(0..<count).contains(tensor) {
            throw source.malformed(.tflite(.noTensor(tensor, count: count)))
        }
        var step = TFLiteModel.Step(
            type: operators[index].name, inputs: inputs, outputs: outputs)
        step.isCustom = operators[index].isCustom
        if step.isCustom {
            step.customOptions = try table.integers(Field.customOptions, UInt8.self)
        } else {
            step.options = try options(of: table, TFLiteOperatorSchema.of(step.type))
        }
        return step
    }

    private static func options(
        of step: FlatTable, _ schema: TFLiteOperatorSchema
    ) throws -> TFLiteOptions {
        var result = TFLiteOptions()
        let isThere = try step.integer(Field.optionsType, UInt8(0)) == schema.table
        let table = isThere ? try step.table(Field.options) : nil
        for field in schema.fields {
            switch field.kind {
            case .byte, .flag:
                result.integers[field.name] = Int(try table?.integer(field.number, Int8(0)) ?? 0)
            case .integer(let usual):
                result.integers[field.name] =
                    try table.map { Int(try $0.integer(field.number, Int32(usual))) } ?? usual
            case .number:
                let bits = try table?.integer(field.number, UInt32(0)) ?? 0
                result.numbers[field.name] = Float(bitPattern: bits)
            case .list:
                result.lists[field.name] = try table?.integers(field.number, Int32.self).map {
                    Int($0)
                }
            }
        }
        return result
    }

    /// The bytes of a buffer of metadata; nil if none has this name.
    private static func blob(
        _ name: String, of root: FlatTable, byteCount: Int, in source: Source
    ) throws -> Range<Int>? {
        let buffers = try root.tables(TFLite.Field.buffers)
        for entry in try root.tables(Field.metadata) where try entry.text(0) == name {
            let number = Int(try entry.integer(1, UInt32(0)))
            guard buffers.indices.contains(number) else {
                throw source.malformed(.tflite(.noBuffer(number, count: buffers.count)))
            }
            return try TFLite.range(buffers[number], byteCount: byteCount, in: source)
        }
        return nil
    }
}
