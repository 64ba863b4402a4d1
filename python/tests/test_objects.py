"""The objects of a vendor's runtime: values, lag, ownership, refusals."""

import builtins
import gc
import logging
import queue
import subprocess
import sys
import threading
import time
import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import nbuffer
from conftest import MODELS, Profile
from nbuffer import _native, errors

CHECKSUM = MODELS / "checksum" / "model.json"
Array = npt.NDArray[np.int8]


def numbered(number: int) -> Array:
    """An input of the model `checksum` that carries a number."""
    array = np.zeros((1, 8, 8, 4), np.int8)
    array.view(np.uint8).reshape(-1)[:8] = np.frombuffer(number.to_bytes(8, "little"), np.uint8)
    return array


def checksum(array: Array) -> int:
    """What the model `checksum` makes of an input: FNV-1a of its bytes."""
    value = 0xCBF29CE484222325
    for byte in array.tobytes():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def result(output: Array) -> int:
    return int.from_bytes(output.tobytes()[:8], "little")


def load(context: nbuffer.Context, **kwargs: Any) -> nbuffer.ModelInstance:
    connection = context.device_connect()
    return connection.load_model_instance(context.load_model(CHECKSUM), **kwargs)


def call(instance: nbuffer.ModelInstance, number: int) -> int:
    output = np.full((1, 1, 64, 1), 0x55, np.int8)
    instance.run([numbered(number)], [output])
    return result(output)


@pytest.fixture
def context(profile: Profile) -> Any:
    with nbuffer.Context(profile.lockstep()) as context:
        yield context


# Values


@pytest.mark.parametrize("device", ["cpu", "sim:metis", "sim:fpga", "sim:gpu"])
def test_a_call_gives_its_own_result_on_every_device(device: str) -> None:
    with nbuffer.Context(device) as context:
        instance = load(context)
        assert instance.lag == 0
        assert [call(instance, n) for n in range(5)] == [checksum(numbered(n)) for n in range(5)]


@pytest.mark.parametrize("flag", [True, 1, "1", "true", 4])
def test_double_buffering_gives_the_result_of_two_calls_before(context: nbuffer.Context, flag: Any) -> None:
    instance = load(context, double_buffer=flag)
    assert instance.lag == 2
    given = [call(instance, n) for n in range(10)]
    assert given == [0, 0] + [checksum(numbered(n)) for n in range(8)]


def test_poison_marks_what_is_no_result(profile: Profile) -> None:
    with nbuffer.Context(profile.lockstep(), poison=True) as context:
        instance = load(context, double_buffer=True)
        given = [call(instance, n) for n in range(3)]
    assert given == [0xA5A5A5A5A5A5A5A5] * 2 + [checksum(numbered(0))]


def test_an_input_is_captured_before_run_returns(context: nbuffer.Context) -> None:
    instance = load(context, double_buffer=True)
    array, output = np.zeros((1, 8, 8, 4), np.int8), np.zeros(64, np.int8)
    for n in range(10):
        array[:] = numbered(n)
        instance.run([array], [output])
        array[:] = -1
        if n >= 2:
            assert result(output) == checksum(numbered(n - 2))


def test_sizes_are_checked_and_not_shapes(context: nbuffer.Context) -> None:
    instance = load(context)
    output = np.zeros((8, 8), np.int8)
    instance.run((numbered(3).reshape(-1),), (output,))
    assert result(output) == checksum(numbered(3))


def test_a_tensor_describes_itself(context: nbuffer.Context) -> None:
    model = context.load_model(str(MODELS / "digits"))
    (info,) = model.inputs()
    assert (info.shape, info.unpadded_shape, info.size) == ((1, 10, 16, 4), (1, 8, 8, 3), 640)
    assert info.padding == [(0, 0), (1, 1), (1, 7), (0, 1)]
    assert (info.dtype, f"{info.scale:.6f}", info.zero_point) == (np.dtype(np.int8), "0.015625", -78)
    assert hash(tuple(info.padding)) == hash(((0, 0), (1, 1), (1, 7), (0, 1)))
    properties = model.properties
    assert properties.input_tensor_layout == properties["input_tensor_layout"] == "NHWC"
    assert properties.preamble_graph == properties["postamble_graph"] == ""


# Ownership


def test_releasing_a_context_releases_everything(profile: Profile) -> None:
    context = nbuffer.Context(profile.lockstep())
    connection = context.device_connect()
    model = context.load_model(CHECKSUM)
    instance = connection.load_model_instance(model)
    for owned in (connection, model, instance):
        assert isinstance(owned, nbuffer.Object) and owned.context is context
    context.release()
    context.release()
    for used, name in [
        (lambda: call(instance, 0), "ModelInstance"),
        (model.inputs, "Model"),
        (lambda: connection.load_model_instance(model), "Model"),
        (context.list_devices, "Context"),
        (context.device_connect, "Context"),
        (lambda: context.load_model(CHECKSUM), "Context"),
    ]:
        with pytest.raises(RuntimeError, match=f"^the {name} has been released$"):
            used()
    for owned in (instance, connection, model):
        owned.release()


def test_with_releases(context: nbuffer.Context) -> None:
    with context.load_model(CHECKSUM) as model, context.device_connect(None, 4) as connection:
        with connection.load_model_instance(model) as instance:
            call(instance, 0)
        with pytest.raises(errors.Error, match="ModelInstance has been released"):
            call(instance, 0)
        (device,) = context.list_devices()
        assert device.in_use and "this process" in device.in_use_by
    assert not context.list_devices()[0].in_use


def test_children_live_as_long_as_their_context(profile: Profile) -> None:
    instance = load(nbuffer.Context(profile.lockstep()))
    gc.collect()
    assert call(instance, 1) == checksum(numbered(1))
    assert instance.context.list_devices()[0].in_use


def test_release_waits_for_the_run_that_is_active(profile: Profile) -> None:
    with nbuffer.Context(profile.lockstep("300ms")) as context:
        instance = load(context)
        ended: queue.Queue[int | Exception] = queue.Queue()

        def one_call() -> None:
            try:
                ended.put(call(instance, 7))
            except errors.Error as error:
                ended.put(error)

        threads = [threading.Thread(target=one_call) for _ in range(2)]
        [thread.start() for thread in threads]
        # Whoever comes second is refused, so that the first one is known to be in the call.
        refused = ended.get(timeout=20)
        assert "is running in another thread" in str(refused)
        instance.release()
        with pytest.raises(errors.Error, match="has been released"):
            call(instance, 8)
        assert ended.get(timeout=20) == checksum(numbered(7))
        [thread.join(20) for thread in threads]


def test_two_threads_in_one_instance_are_refused(profile: Profile) -> None:
    with nbuffer.Context(profile.lockstep("20ms")) as context:
        instance = load(context)
        said: list[str] = []

        def calls() -> None:
            for n in range(5):
                try:
                    assert call(instance, n) == checksum(numbered(n))
                except RuntimeError as error:
                    said.append(str(error))

        threads = [threading.Thread(target=calls) for _ in range(2)]
        [thread.start() for thread in threads]
        [thread.join(20) for thread in threads]
        assert said and all("takes one call at a time" in text for text in said)


def test_run_releases_the_gil(profile: Profile) -> None:
    with nbuffer.Context(profile.lockstep("300ms")) as context:
        instances = [load(context) for _ in range(4)]
        for instance in instances:
            call(instance, 0)
        threads = [threading.Thread(target=call, args=(instance, 1)) for instance in instances]
        start = time.monotonic()
        [thread.start() for thread in threads]
        [thread.join(20) for thread in threads]
        # One after the other would take 1.2 s.
        assert time.monotonic() - start < 0.9


def test_nothing_is_left_behind(profile: Profile) -> None:
    device = profile.lockstep()

    def round_trip() -> None:
        context = nbuffer.Context(device)
        instance = load(context, double_buffer=True)
        for n in range(20):
            call(instance, n)
        with pytest.raises(errors.InvalidArgument):
            instance.run([], [])
        with pytest.raises(errors.InvalidArgument):
            load(context, nonsense=1)

    gc.collect()
    before = _native.alive()
    round_trip()
    gc.collect()
    assert _native.alive() == before
    tracemalloc.start()
    try:
        for _ in range(5):
            round_trip()
        gc.collect()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            round_trip()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - first < 20_000
    finally:
        tracemalloc.stop()
    assert _native.alive() == before


def test_a_cycle_through_a_context_is_collected(profile: Profile) -> None:
    class Holder(nbuffer.Context):
        child: Any = None

    gc.collect()
    before = _native.alive()
    context = Holder(profile.lockstep())
    context.child = load(context)
    del context
    gc.collect()
    assert _native.alive() == before


# Refusals


def test_exceptions_are_those_of_the_vendor() -> None:
    for name in (
        "ConnectionError", "DeviceInUse", "IncompatibleDevice", "InvalidArgument", "InvalidConfiguration",
        "NotImplemented", "Pending", "InternalError", "UnknownError",
    ):
        assert issubclass(getattr(errors, name), RuntimeError)
    assert issubclass(errors.InvalidArgument, ValueError)
    assert errors.ConnectionError is not builtins.ConnectionError


OUTPUT = np.zeros(64, np.int8)


def read_only() -> Array:
    array = OUTPUT.copy()
    array.flags.writeable = False
    return array


BAD_ARRAYS: list[tuple[Any, Any, str]] = [
    (numbered(0), [OUTPUT], "inputs is a ndarray, a list of arrays is needed"),
    ([], [OUTPUT], "0 input buffers were given, the model has 1 inputs"),
    ([numbered(0)], [OUTPUT, OUTPUT], "2 output buffers were given, the model has 1 outputs"),
    (["zero"], [OUTPUT], r"inputs\[0\] is a str, a NumPy array is needed"),
    ([3], [OUTPUT], r"inputs\[0\] is a int, a NumPy array is needed"),
    ([numbered(0).astype(np.float32)], [OUTPUT], r"inputs\[0\] is an array of float32, int8 is needed"),
    ([numbered(0).view(np.uint8)], [OUTPUT], r"inputs\[0\] is an array of uint8, int8 is needed"),
    ([numbered(0)[:, :4]], [OUTPUT], r"input 0 \(`input_0`\) has 128 B, 256 B are needed"),
    ([np.zeros((1, 8, 8, 8), np.int8)[..., ::2]], [OUTPUT], r"inputs\[0\] is not contiguous"),
    ([np.asfortranarray(numbered(0))], [OUTPUT], r"inputs\[0\] is not contiguous"),
    ([numbered(0)], [np.zeros(63, np.int8)], "output 0 .* has 63 B, 64 B are needed"),
    ([numbered(0)], [read_only()], r"outputs\[0\] is read-only"),
    ([numbered(0)], [np.zeros(128, np.int8)[::2]], r"outputs\[0\] is not contiguous"),
]


@pytest.mark.parametrize(("inputs", "outputs", "said"), BAD_ARRAYS)
def test_arrays_that_do_not_fit(context: nbuffer.Context, inputs: Any, outputs: Any, said: str) -> None:
    instance = load(context)
    with pytest.raises(errors.InvalidArgument, match=said):
        instance.run(inputs, outputs)
    assert call(instance, 5) == checksum(numbered(5))


def test_calls_that_are_refused_leave_nothing(profile: Profile) -> None:
    device = profile.lockstep()

    def round_trip() -> None:
        with nbuffer.Context(device) as context:
            instance = load(context, double_buffer=True)
            for inputs, outputs, _ in BAD_ARRAYS:
                with pytest.raises(errors.InvalidArgument):
                    instance.run(inputs, outputs)
            with pytest.raises(errors.InvalidArgument):
                load(context, turbo=1)
            threads = [threading.Thread(target=lambda: refused(lambda: call(instance, 0))) for _ in range(4)]
            [thread.start() for thread in threads]
            [thread.join(20) for thread in threads]
            assert not any(thread.is_alive() for thread in threads)
            instance.release()
            assert refused(lambda: call(instance, 0))

    def refused(run: Any) -> bool:
        try:
            run()
        except errors.Error:
            return True
        return False

    gc.collect()
    before = _native.alive()
    tracemalloc.start()
    try:
        for _ in range(5):
            round_trip()
        gc.collect()
        first = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            round_trip()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - first < 20_000
    finally:
        tracemalloc.stop()
    assert _native.alive() == before


def test_one_array_is_not_input_and_output(profile: Profile) -> None:
    with nbuffer.Context(profile.lockstep()) as context:
        instance = context.device_connect().load_model_instance(context.load_model(MODELS / "copy"))
        array = np.zeros(instance.inputs()[0].shape, np.int8)
        with pytest.raises(errors.InvalidArgument, match=r"outputs\[0\] is in use .* twice in this one"):
            instance.run([array], [array])


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"turbo": 1}, "^Invalid properties: Unknown property key: turbo$"),
        ({"double_buffer": "maybe"}, "^Invalid properties: double_buffer=maybe, which takes a number"),
        ({"double_buffer": 0.5}, "^Invalid properties: double_buffer=0.5"),
        ({"num_sub_devices": 2}, "needs 2 cores, the Connection has 1 of 1 free"),
        ({"aipu_cores": 5}, "aipu_cores=5, which takes 0 to 4"),
    ],
)
def test_keywords_that_cannot_be(context: nbuffer.Context, kwargs: Any, said: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=said):
        load(context, **kwargs)


def test_features_that_are_not_there(context: nbuffer.Context) -> None:
    for kwargs in ({"input_dmabuf": 1}, {"output_dmabuf": True}, {"async_mode": 1}):
        with pytest.raises(errors.NotImplemented, match="is not there on device"):
            load(context, **kwargs)
    with nbuffer.Context("cpu") as cpu, pytest.raises(errors.NotImplemented, match="double_buffer"):
        load(cpu, double_buffer=True)


def test_devices_that_are_not_there(context: nbuffer.Context) -> None:
    for device, cores, said in [
        ("metis-0:1:0", 1, "there is no device `metis-0:1:0`; the context has sim:"),
        (1, 1, "there is no device number 1"),
        (-1, 1, "there is no device number -1"),
        (2.5, 1, "a device is None, a number, a name or a DeviceInfo, not a float"),
        (None, 5, "has 4 cores, 5 were asked for"),
        (None, 0, "has 4 cores, 0 were asked for"),
    ]:
        with pytest.raises(errors.InvalidArgument, match=said):
            context.device_connect(device, cores)  # type: ignore[arg-type]
    with pytest.raises(errors.InvalidArgument, match="there is no device `warp`; known are cpu"):
        nbuffer.Context("warp")
    with pytest.raises(errors.InvalidArgument, match="Unknown property key: nonsense"):
        context.device_connect(nonsense=1)
    for device in (None, 0, context.list_devices()[0], context.list_devices()[0].name):
        context.device_connect(device).release()


def test_models_that_are_none(context: nbuffer.Context) -> None:
    with pytest.raises(errors.InvalidArgument, match="nowhere"):
        context.load_model("nowhere/model.json")


def test_a_model_of_another_context_is_refused(context: nbuffer.Context, profile: Profile) -> None:
    with nbuffer.Context(profile.lockstep()) as other, pytest.raises(errors.InvalidArgument, match="another Context"):
        context.device_connect().load_model_instance(other.load_model(CHECKSUM))


def test_what_a_device_fails_with(profile: Profile) -> None:
    faults = '[[fault]]\nkind = "fail"\nlane = 0\ncall = 1\n[[fault]]\nkind = "disappear"\nlane = 0\ncall = 3\n'
    with nbuffer.Context(profile.lockstep(faults=faults)) as context:
        instance = load(context)
        call(instance, 0)
        with pytest.raises(errors.Error, match="planned fault in call 1") as caught:
            call(instance, 1)
        assert type(caught.value) is errors.Error
        assert call(instance, 2) == checksum(numbered(2))
        for _ in range(2):
            with pytest.raises(errors.ConnectionError, match="device lost"):
                call(instance, 3)


def test_options_without_effect_are_logged(context: nbuffer.Context, caplog: pytest.LogCaptureFixture) -> None:
    connection = context.device_connect(None, 4)
    with caplog.at_level(logging.WARNING, "nbuffer"):
        connection.load_model_instance(context.load_model(CHECKSUM), num_sub_devices=4, aipu_cores=4)
    assert caplog.messages == ["num_sub_devices=4 changes nothing: the model's batch decides, and takes 1"]


def test_a_device_is_configured(context: nbuffer.Context) -> None:
    assert context.configure_device(None, clock_profile=400, ddr_size="0x80000000") is True
    assert context.device_ready(0)
    configuration = context.read_device_configuration(None)
    assert configuration["clock_profile_core_2"] == "400"
    assert configuration["ddr_size"] == str(0x80000000)
    with pytest.raises(errors.InvalidConfiguration, match="clock_profile=123: clocks are one of"):
        context.configure_device(None, clock_profile=123)
    with pytest.raises(errors.InvalidConfiguration, match="no such key"):
        context.configure_device(None, turbo=1)


def test_cores_are_reserved_among_processes() -> None:
    script = (
        "import nbuffer\n"
        "context = nbuffer.Context('sim:metis', among_processes=True)\n"
        "context.device_connect(None, 3)\n"
        "print('connected', flush=True)\n"
        "input()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "connected\n"
        with nbuffer.Context("sim:metis", among_processes=True) as context:
            (device,) = context.list_devices()
            assert device.in_use and device.in_use_by == f"process {other.pid}"
            with pytest.raises(errors.DeviceInUse, match=f"1 of 4 cores free, 2 are needed; in use by process {other.pid}"):
                context.device_connect(None, 2)
            context.device_connect(None, 1).release()
            # Dies without releasing.
            other.kill()
            other.wait()
            assert not context.list_devices()[0].in_use
            context.device_connect(None, 4)


def test_the_environment_names_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBUFFER_DEVICE", "sim:metis, cpu,sim:metis")
    with nbuffer.Context() as context:
        assert [device.name for device in context.list_devices()] == ["sim:metis", "cpu", "sim:metis#1"]


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(errors.InvalidArgument, match="warp"):
        nbuffer.Context("cpu", engine="warp")
