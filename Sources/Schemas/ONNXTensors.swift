// ONNX' tensors as graft's, and a model read from a mapped file.

internal import FoundationEssentials
package import GraftTensors
internal import SwiftProtobuf

/// Reads the protobuf of an ONNX model.
package enum ONNXModel {
    /// A reason why a tensor or model cannot be read.
    package struct Problem: Error {
        package let reason: String
    }

    /// The model in a file.
    package static func read(_ storage: Storage) throws(Problem) -> Onnx_ModelProto {
        guard storage.byteCount < 1 << 31 else {
            throw Problem(reason: "it is larger than a protobuf can be")
        }
        do {
            let model = try storage.withBytes { bytes in
                // Borrowed for the call: what is kept is copied.
                try Onnx_ModelProto(serializedBytes: Array(bytes))
            }
            guard model.hasGraph else { throw Problem(reason: "it holds no graph") }
            return model
        } catch let problem as Problem {
            throw problem
        } catch {
            throw Problem(reason: "its protobuf is broken")
        }
    }
}

extension Onnx_TensorProto {
    /// The tensor's type in graft.
    package var graftType: DType? {
        switch dataType {
        case 1: .f32
        case 2: .u8
        case 3: .i8
        case 4: .u16
        case 5: .i16
        case 6: .i32
        case 7: .i64
        case 9: .bool
        case 10: .f16
        case 11: .f64
        case 12: .u32
        case 13: .u64
        case 14: .c64
        case 16: .bf16
        case 17: .f8e4m3
        case 18: .f8e4m3fnuz
        case 19: .f8e5m2
        case 20: .f8e5m2fnuz
        case 23: .f4
        case 24: .f8e8m0
        default: nil
        }
    }

    /// The numbers, wherever the message keeps them.
    package func tensor() throws(ONNXModel.Problem) -> Tensor {
        guard let dtype = graftType else {
            throw .init(reason: "`\(name)` has the type \(dataType), which graft does not know")
        }
        guard dataLocation != .external, externalData.isEmpty else {
            throw .init(reason: "`\(name)` lies in another file, which graft does not read")
        }
        let shape = Shape(dims.map { Int(clamping: $0) })
        guard let byteCount = shape.checkedByteCount(dtype) else {
            throw .init(reason: "`\(name)` has the impossible shape \(shape)")
        }
        func made<T: BitwiseCopyable>(_ values: [T]) throws(ONNXModel.Problem) -> Tensor {
            guard values.count * MemoryLayout<T>.size == byteCount else {
                throw .init(reason: "`\(name)` of shape \(shape) has \(values.count) numbers")
            }
            return Tensor(dtype, shape, storage: Storage(values))
        }
        if !rawData.isEmpty || byteCount == 0 {
            guard rawData.count == byteCount else {
                throw .init(
                    reason: "`\(name)` of shape \(shape) has \(rawData.count) bytes, expected "
                        + "\(byteCount)")
            }
            let storage = Storage(byteCount: byteCount) { target in
                rawData.withUnsafeBytes { target.copyMemory(from: $0) }
            }
            return Tensor(dtype, shape, storage: storage)
        }
        switch dtype {
        case .f32, .c64: return try made(floatData)
        case .f64: return try made(doubleData)
        case .i64: return try made(int64Data)
        case .u64: return try made(uint64Data)
        case .u32: return try made(uint64Data.map { UInt32(truncatingIfNeeded: $0) })
        case .i32: return try made(int32Data)
        case .i16, .u16, .f16, .bf16:
            return try made(int32Data.map { UInt16(truncatingIfNeeded: $0) })
        case .bool, .u8, .i8, .f4, .f6e2m3, .f6e3m2, .f8e5m2, .f8e4m3, .f8e8m0, .f8e4m3fnuz,
            .f8e5m2fnuz:
            return try made(int32Data.map { UInt8(truncatingIfNeeded: $0) })
        }
    }
}
