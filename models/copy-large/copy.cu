// out[i] = x[i]: hardly a kernel, so that a run is all transfers.
extern "C" __global__ void copy(const unsigned *x, unsigned *out, const unsigned n)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return; // the grid is rounded up to whole blocks
    }
    out[i] = x[i];
}
