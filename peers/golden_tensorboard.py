"""Writes tests/golden/events.tfevents with TensorBoard's own package: what EventFile must write, byte for byte.

Run from the repository's root, with tensorboard installed: python peers/golden_tensorboard.py
"""

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

WALL_TIME = 1700000000.25
PNG = bytes(range(256))  # an event file does not look into its pictures


def events() -> list[event_pb2.Event]:
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    value = summary_pb2.Summary.Value
    histogram = summary_pb2.HistogramProto(
        min=-1, max=2, num=4, sum=2.5, sum_squares=6.125, bucket_limit=[-0.25, 0.5, 1.25, 2], bucket=[1, 0, 2, 1]
    )
    picture = summary_pb2.Summary.Image(height=3, width=300, colorspace=3, encoded_image_string=PNG)
    first = summary_pb2.Summary(
        value=[value(tag="loss", simple_value=0.125), value(tag="epoch/test_acc", simple_value=-3.5e8)]
    )
    second = summary_pb2.Summary(
        value=[value(tag="pictures/0", image=picture), value(tag="weights/1.weight", histo=histogram)]
    )
    return [
        event_pb2.Event(wall_time=WALL_TIME, file_version="brain.Event:2"),
        event_pb2.Event(wall_time=WALL_TIME, step=128, session_log=start),
        event_pb2.Event(wall_time=WALL_TIME + 1, step=5000000000, summary=first),
        event_pb2.Event(wall_time=WALL_TIME + 2, summary=second),
    ]


if __name__ == "__main__":
    with open("tests/golden/events.tfevents", "wb") as file:
        writer = RecordWriter(file)
        for event in events():
            writer.write(event.SerializeToString(deterministic=True))
        writer.close()
