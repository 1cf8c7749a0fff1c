// The parent's side: as many decoding processes as threads ask at once, each for many images.

import GraftSystem
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The decoding processes of this program, started when the first image needs one.
enum ImageWorkers {
    /// The images after which a process is replaced, so that what a library leaks does not pile up.
    private static let imagesPerProcess = 500
    /// Seconds of decoding after which it is, so that it stays within its limit of processor time.
    private static let secondsPerProcess = 600.0

    private static let idle = Mutex<[Worker]>([])

    /// Decodes an image where `isolation` says.
    static func decode(
        _ bytes: UnsafeRawBufferPointer, _ request: DecodeRequest, _ isolation: Isolation
    ) throws(ImageError) -> Image {
        switch isolation {
        case .inProcess: return try serial(bytes, request)
        case .contiguousOnly:
            throw .notIsolated(name: request.name, format: request.format.rawValue)
        case .process(let program):
            let kept = idle.withLock { workers -> Worker? in
                workers.lastIndex { $0.program == program }.map { workers.remove(at: $0) }
            }
            let worker: Worker
            if let kept { worker = kept } else { worker = try Worker(program, request) }
            let image = worker.decode(bytes, request)
            // One that failed to answer is not kept: it is ended, and the next image starts another.
            if worker.isSound, worker.imageCount < imagesPerProcess,
                worker.seconds < secondsPerProcess
            {
                idle.withLock { $0.append(worker) }
            }
            return try image.get()
        }
    }

    private static let inProcess = Mutex<Void>(())

    /// Decodes in this process, one image at a time: libtiff's errors are of the whole process.
    private static func serial(_ bytes: UnsafeRawBufferPointer, _ request: DecodeRequest)
        throws(ImageError) -> Image
    {
        let source = MemoryBytes(bytes)
        let result = inProcess.withLock { _ in
            Result { () throws(ImageError) in try request.decode(source) }
        }
        return try result.get()
    }
}

/// A decoding process, used by one thread at a time.
private final class Worker: @unchecked Sendable {
    // Sendable because the list of idle ones hands each to one thread.
    let program: String
    private(set) var imageCount = 0
    private(set) var seconds = 0.0
    /// Whether it has answered every question to the end.
    private(set) var isSound = false
    private var process: ConfinedProcess

    init(_ program: String, _ request: DecodeRequest) throws(ImageError) {
        self.program = program
        do {
            process = try ConfinedProcess(program: program, arguments: [ImageServer.command])
        } catch {
            let reason = String(cString: strerror(error.code)).lowercased()
            throw .parser(
                name: request.name, format: request.format.rawValue,
                failure: .notStarted(program: program, reason: reason))
        }
        let deadline = ContinuousClock.now + .seconds(request.limits.seconds)
        guard
            let (kind, payload) = ImageDialogue.message({ process.fill($0, before: deadline) }),
            kind == .held, payload.count == 1
        else { throw failure(request, deadline: deadline) }
        Confinement.note(Confinement(rawValue: Int32(payload[0])))
        isSound = true
    }

    /// The image, or why there is none; afterwards ``isSound`` says whether the process can go on.
    func decode(_ bytes: UnsafeRawBufferPointer, _ request: DecodeRequest)
        -> Result<Image, ImageError>
    {
        let start = ContinuousClock.now
        defer {
            imageCount += 1
            let taken = (ContinuousClock.now - start).components
            seconds += Double(taken.seconds) + Double(taken.attoseconds) * 1e-18
        }
        isSound = false
        let allowed = max(1, request.limits.seconds) + bytes.count >> 24
        let deadline = start + .seconds(allowed)
        let dialogue = ImageDialogue(
            request: request, bytes: bytes,
            send: { self.process.send($0, before: deadline) },
            fill: { self.process.fill($0, before: deadline) })
        switch dialogue.run() {
        case .image(let image):
            isSound = true
            return .success(image)
        case .refused(let error):
            isSound = true
            return .failure(error)
        case .invalid:
            return .failure(
                .parser(
                    name: request.name, format: request.format.rawValue, failure: .invalidReply))
        case .silent: return .failure(failure(request, deadline: deadline))
        }
    }

    /// Why it did not answer; it is ended.
    private func failure(_ request: DecodeRequest, deadline: ContinuousClock.Instant) -> ImageError
    {
        let isLate = ContinuousClock.now >= deadline
        let failure: ParserFailure =
            switch process.end() {
            case .killed where isLate: .timedOut(seconds: request.limits.seconds)
            case .killed(SIGXCPU): .timedOut(seconds: request.limits.seconds)
            // Ended here, although it lived: what it sent is no message.
            case .killed(SIGKILL): .invalidReply
            case .killed(let signal): .crashed(signal: signal)
            case .exited(let status): .exited(status: status)
            }
        return .parser(name: request.name, format: request.format.rawValue, failure: failure)
    }
}
