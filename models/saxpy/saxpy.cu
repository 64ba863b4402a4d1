// out[i] = a * x[i] + y[i], product and sum rounded apart as on the CPU, not fused.
extern "C" __global__ void saxpy(const float *x, const float *y, float *out, const float a, const unsigned n)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return; // the grid is rounded up to whole blocks
    }
    out[i] = __fadd_rn(__fmul_rn(a, x[i]), y[i]);
}
