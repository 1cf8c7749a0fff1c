// Images in their order, decoded ahead by other threads; memory stays flat however many there are.

import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// Decodes and prepares images while what came before is computed.
final class ImageStream {
    private let inputs: [ImageInput]
    private let every: Interval
    private let ahead: Prefetch<Result<PreparedImage, any Error>?>
    private let prepare: @Sendable (ImageInput) throws -> PreparedImage
    private var next = 0
    private var video: VideoFrames?

    /// The number of images; nil if videos are among them.
    let total: Int?

    init(
        _ inputs: [ImageInput], every: Interval?, _ preprocessing: Preprocessing, covering: Int?
    ) {
        self.inputs = inputs
        total = inputs.contains(where: \.isVideo) ? nil : inputs.count
        self.every = every ?? Interval(milliseconds: 1000)
        let prepare: @Sendable (ImageInput) throws -> PreparedImage = { input in
            PreparedImage(try input.open(covering: covering), preprocessing)
        }
        self.prepare = prepare
        ahead = Prefetch(count: inputs.count) { at in
            inputs[at].isVideo ? nil : Result { try prepare(inputs[at]) }
        }
    }

    /// The next image; nil after the last.
    func read() -> (input: ImageInput, image: Result<PreparedImage, any Error>)? {
        while true {
            if let video {
                do {
                    if let frame = try video.next() {
                        return (frame, Result { try prepare(frame) })
                    }
                    self.video = nil
                } catch {
                    self.video = nil
                    return (inputs[next - 1], .failure(error))
                }
            }
            guard next < inputs.count, let prepared = ahead.next() else { return nil }
            let input = inputs[next]
            next += 1
            if let prepared { return (input, prepared) }
            do {
                video = try VideoFrames(input.name, every: every)
            } catch {
                return (input, .failure(error))
            }
        }
    }
}
